package prober

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"syscall"
)

// Addresses says which addresses checks may connect to. The zero value refuses those of cloud metadata services only.
type Addresses struct {
	// DenyPrivate refuses every address that is not on the public internet.
	DenyPrivate bool
	// Allow has addresses that are not refused.
	Allow []netip.Prefix
}

// refusedError is an address that a check may not connect to.
type refusedError struct{ text string }

func (e *refusedError) Error() string { return e.text }

// metadata are where clouds tell a machine its credentials, which whoever defines a target must not have: AWS, Azure, Google
// and most others; the first over IPv6; Alibaba; Azure's wire server; Oracle over IPv6; AWS' credentials of a container.
var metadata = addresses("169.254.169.254/32", "fd00:ec2::254/128", "100.100.100.200/32", "168.63.129.16/32", "fd00:c1::a9fe:a9fe/128",
	"169.254.170.2/32", "169.254.170.23/32", "fd00:ec2::23/128")

// notPublic are the addresses that nobody on the internet is reached at, besides those that [netip.Addr] knows, as IANA's
// registries of special-purpose addresses have them.
var notPublic = addresses("0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24",
	"240.0.0.0/4", "100::/64", "2001::/23", "2001:db8::/32", "3fff::/20", "5f00::/16", "fec0::/10")

// embedding are the prefixes of IPv6 addresses that stand for an IPv4 one, and the byte that it begins at: NAT64 (RFC 6052,
// RFC 8215), 6to4 and the one that was there before ::ffff:0:0/96.
var embedding = []struct {
	prefix netip.Prefix
	at     int
}{
	{netip.MustParsePrefix("64:ff9b::/96"), 12}, {netip.MustParsePrefix("64:ff9b:1::/48"), 12},
	{netip.MustParsePrefix("2002::/16"), 2}, {netip.MustParsePrefix("::/96"), 12},
}

func addresses(texts ...string) []netip.Prefix {
	prefixes := make([]netip.Prefix, len(texts))
	for i, text := range texts {
		prefixes[i] = netip.MustParsePrefix(text)
	}
	return prefixes
}

// allow is asked by the dialer for each address, after resolution and before a byte is sent.
func (c *checker) allow(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("reading the address %q: %w", address, err)
	}
	return c.addresses.check(at.Addr())
}

// checkLiteral is check for a host that may be a name, which then somebody else resolves.
func (a Addresses) checkLiteral(host string) error {
	address, err := netip.ParseAddr(host)
	if err != nil {
		return nil
	}
	return a.check(address)
}

// check returns a *refusedError where no connection may be made to address.
func (a Addresses) check(address netip.Addr) error {
	address = address.WithZone("").Unmap()
	if contains(a.Allow, address) {
		return nil
	}
	means := address
	if v4, is := embedded(address); is {
		if contains(a.Allow, v4) {
			return nil
		}
		means = v4
	}
	switch {
	case contains(metadata, address) || contains(metadata, means):
		return &refusedError{fmt.Sprintf("%s is the address of a cloud's metadata service, which is not in prober.allow", address)}
	case a.DenyPrivate && (!isPublic(address) || !isPublic(means)):
		return &refusedError{fmt.Sprintf("%s is no public address, and not in prober.allow", address)}
	}
	return nil
}

func isPublic(a netip.Addr) bool {
	return a.IsGlobalUnicast() && !a.IsPrivate() && !contains(notPublic, a)
}

func contains(prefixes []netip.Prefix, a netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(a) })
}

// embedded returns the IPv4 address that an IPv6 one stands for.
func embedded(a netip.Addr) (netip.Addr, bool) {
	if !a.Is6() || a.IsLoopback() || a.IsUnspecified() {
		return netip.Addr{}, false
	}
	bytes := a.As16()
	for _, e := range embedding {
		if e.prefix.Contains(a) {
			return netip.AddrFrom4([4]byte(bytes[e.at : e.at+4])), true
		}
	}
	return netip.Addr{}, false
}
