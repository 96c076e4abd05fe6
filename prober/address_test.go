package prober

import (
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"webcheck/embedded/testservices/seed"
)

func TestAddressesAreRefusedByWhatTheyLeadTo(t *testing.T) {
	const public, private, cloud = "public", "private", "cloud"
	for address, want := range map[string]string{
		"8.8.8.8": public, "1.1.1.1": public, "172.32.0.1": public, "100.128.0.1": public, "169.253.0.1": public, "192.0.1.1": public,
		"2606:4700::1111": public, "2a00::1": public, "64:ff9b::808:808": public, "2002:808:808::1": public, "::ffff:8.8.8.8": public,
		"10.0.0.1": private, "172.16.0.1": private, "172.31.255.255": private, "192.168.1.1": private, "127.0.0.1": private, "127.8.8.8": private,
		"0.0.0.0": private, "0.1.2.3": private, "169.254.1.1": private, "100.64.0.1": private, "100.127.255.255": private, "192.0.0.8": private,
		"192.0.2.1": private, "198.18.0.1": private, "198.51.100.1": private, "203.0.113.1": private, "224.0.0.1": private, "239.1.1.1": private,
		"240.0.0.1": private, "255.255.255.255": private,
		"::": private, "::1": private, "fe80::1": private, "fe80::1%lo": private, "fc00::1": private, "fd12::1": private, "fec0::1": private,
		"ff02::1": private, "2001:db8::1": private, "2001::1": private, "100::1": private, "3fff::1": private, "5f00::1": private,
		"::ffff:10.0.0.1": private, "::ffff:127.0.0.1": private, "::10.0.0.1": private, "64:ff9b::10.0.0.1": private,
		"64:ff9b:1::192.168.0.1": private, "2002:a00:1::": private, "2002:7f00:1::1": private,
		"169.254.169.254": cloud, "::ffff:169.254.169.254": cloud, "::169.254.169.254": cloud, "64:ff9b::169.254.169.254": cloud,
		"2002:a9fe:a9fe::1": cloud, "fd00:ec2::254": cloud, "fd00:ec2::254%lo": cloud, "100.100.100.200": cloud, "168.63.129.16": cloud,
		"169.254.170.2": cloud,
	} {
		a := netip.MustParseAddr(address)
		if got := (Addresses{}).check(a) != nil; got != (want == cloud) {
			t.Errorf("%s, %s: refused %t", address, want, got)
		}
		if got := (Addresses{DenyPrivate: true}).check(a) != nil; got != (want != public) {
			t.Errorf("%s, %s: refused %t when private ones are denied", address, want, got)
		}
		bare := a.WithZone("").Unmap()
		if err := (Addresses{DenyPrivate: true, Allow: []netip.Prefix{netip.PrefixFrom(bare, bare.BitLen())}}).check(a); err != nil {
			t.Errorf("%s is allowed: %v", address, err)
		}
	}
}

// TestAnAddressIsRefusedInEveryFormThatItHas wraps random IPv4 addresses as IPv6 ones.
func TestAnAddressIsRefusedInEveryFormThatItHas(t *testing.T) {
	rnd := seed.Random(t)
	rules := Addresses{DenyPrivate: true, Allow: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("169.254.169.0/24")}}
	for range seed.Runs(t, 5000) {
		var four [4]byte
		for i := range four {
			four[i] = byte(rnd.UintN(256))
		}
		if begin := [][]byte{nil, {10, 1}, {10}, {169, 254, 169}, {169, 254}, {100, 100}, {127}}[rnd.IntN(7)]; begin != nil {
			copy(four[:], begin)
		}
		v4 := netip.AddrFrom4(four)
		if four[0] == 0 { // ::1 and its neighbours are addresses of their own
			continue
		}
		want := rules.check(v4) != nil
		for _, prefix := range []string{"::ffff:", "::", "64:ff9b::", "64:ff9b:1::"} {
			if got := rules.check(netip.MustParseAddr(prefix+v4.String())) != nil; got != want {
				t.Errorf("%s%s: refused %t, and without the prefix %t", prefix, v4, got, want)
			}
		}
	}
}

func TestARefusedAddressIsDownAndSeesNoByte(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	port := strings.TrimPrefix(listener.Addr().String(), "127.0.0.1")
	allowed := serve(t, "127.0.0.3:0", say("HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1"+port+"/\r\n\r\n"))
	c := newChecker()
	c.addresses = Addresses{DenyPrivate: true, Allow: []netip.Prefix{netip.MustParsePrefix("127.0.0.3/32")}}
	for name, test := range map[string]struct {
		url    string
		change func(*Target)
		phases string
	}{
		"an address":            {"http://127.0.0.1" + port, nil, "total"},
		"a name":                {"http://localhost" + port, nil, "dns total"},
		"with TLS":              {"https://127.0.0.1" + port, nil, "total"},
		"a redirect":            {allowed, nil, "first_byte transfer total"},
		"tcp":                   {"tcp://127.0.0.1" + port, nil, "total"},
		"tls":                   {"tls://127.0.0.1" + port, nil, "total"},
		"a resolver":            {"dns://127.0.0.1" + port + "/example.com", nil, "total"},
		"a proxy":               {"http://example.com", func(t *Target) { t.Proxy = "http://127.0.0.1" + port }, "total"},
		"behind a proxy":        {"http://127.0.0.1" + port, func(t *Target) { t.Proxy = strings.TrimSuffix(allowed, "/") }, "total"},
		"once more and refused": {"http://127.0.0.1" + port, func(t *Target) { t.Retries, t.RetryGap = 1, 0 }, "total"},
	} {
		t.Run(name, func(t *testing.T) {
			target := NewTarget("home", test.url)
			if test.change != nil {
				test.change(&target)
			}
			e := c.check(t.Context(), &target, target.Version())
			want := seen{Outcome: "down", Failure: "refused_address", Text: "127.0.0.1 is no public address, and not in prober.allow", Phases: test.phases}
			if diff := cmp.Diff(want, look(e, want)); diff != "" {
				t.Errorf("(-want +got)\n%s\ntext: %s", diff, text(e.FailureText))
			}
			if e.Attempts = 1; !t.Failed() {
				checkWritable(t, e)
			}
		})
	}
	listener.Close()
	if conn, err := listener.Accept(); err == nil {
		t.Errorf("%v connected", conn.RemoteAddr())
	}
}

func TestNamesInOtherScriptsAreThoseOfDNS(t *testing.T) {
	for name, want := range map[string]string{
		"example.com": "example.com", "BÜCHER.example": "xn--bcher-kva.example", "127.0.0.1": "127.0.0.1", "a_b.example": "a_b.example",
	} {
		if got := asciiHost(name); got != want {
			t.Errorf("%s: got %q, want %q", name, got, want)
		}
	}
}
