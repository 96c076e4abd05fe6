package embedded

import (
	"encoding/binary"
	"fmt"
	"io"
	"net"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// maxRequestBytes is Kafka's own default for socket.request.max.bytes.
const maxRequestBytes = 100 << 20

// framed guards a listener against what is not Kafka's protocol: kfake allocates whatever size the first four bytes say, and
// panics on a request kind it has never heard of. A TLS listener is left alone, since only its inside is the protocol.
func framed(l net.Listener, isTLS bool) net.Listener {
	if isTLS {
		return l
	}
	return framedListener{l}
}

type framedListener struct{ net.Listener }

func (l framedListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framedConn{Conn: c}, nil
}

// framedConn looks at each request's size (4 bytes) and kind (2 bytes) before it passes them on.
type framedConn struct {
	net.Conn
	head [6]byte
	held []byte // of head, what is still to be passed on
	body int    // bytes of the request after head
}

func (c *framedConn) Read(p []byte) (int, error) {
	if len(c.held) == 0 && c.body == 0 {
		if err := c.next(); err != nil {
			return 0, err
		}
	}
	if len(c.held) > 0 {
		n := copy(p, c.held)
		c.held = c.held[n:]
		return n, nil
	}
	n, err := c.Conn.Read(p[:min(len(p), c.body)])
	c.body -= n
	return n, err
}

func (c *framedConn) next() error {
	if _, err := io.ReadFull(c.Conn, c.head[:]); err != nil {
		return err
	}
	size := binary.BigEndian.Uint32(c.head[:4])
	kind := int16(binary.BigEndian.Uint16(c.head[4:]))
	if size < 8 || size > maxRequestBytes || kmsg.RequestForKey(kind) == nil {
		return fmt.Errorf("reading request: not Kafka's protocol")
	}
	c.held, c.body = c.head[:], int(size)-2
	return nil
}
