package prober_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"

	"webcheck/prober"
)

func ExampleCheck() {
	site := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "all is well")
	}))
	defer site.Close()

	target := prober.NewTarget("home", site.URL)
	target.BodyMatches = regexp.MustCompile(`welcome`)
	e := prober.Check(context.Background(), target)
	fmt.Println(e.Outcome, *e.StatusCode, *e.Failure)
	fmt.Println(*e.FailureText)
	// Output:
	// down 200 body
	// expected a body that matches "welcome", got 11 bytes that do not
}
