package evolve

// CopyCheckout is for the tests of the command, which are outside of this package because the command imports it.
var CopyCheckout = copyCheckout
