package prober

import (
	"context"
	"net/url"
)

// askTLS connects and shakes hands; the certificate is believed or not as that of an https URL.
func (c *checker) askTLS(ctx context.Context, t *Target, u *url.URL, o *observation) error {
	h := o.hop()
	conn, release, err := c.connect(ctx, t, h, hostPort(u))
	if err != nil {
		return err
	}
	defer release()
	secure, err := c.handshake(t, h, conn, asciiHost(u.Hostname()))
	if err != nil {
		return err
	}
	_ = secure.Close() // with the alert that says so
	return nil
}
