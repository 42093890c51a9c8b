package enrich

import (
	"bufio"
	"flag"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/event"
)

func updating() bool {
	f := flag.Lookup("update")
	return f != nil && f.Value.String() == "true"
}

var _ = os.Args
var _ = bufio.NewReader
var _ = strings.Join

func shape(path string) (template, item string) {
	var mem event.Arena
	clean := cleanPath(path, &mem)
	b, from, to := appendShape(nil, clean)
	if to > from {
		item = clean[from:to]
	}
	return string(b), item
}

func TestShapeX(t *testing.T) {
	for _, p := range []string{"/", "/2015/08/10/apache-drill/", "/page-2/feed/", "/a/../b%41/.//c;jsessionid=1/", "/products/12", "/x.min.js", "/wp-content/plugins/a/b/c/jquery-1.2.min.js"} {
		a, b := shape(p)
		t.Log(p, a, b)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, _ := shape("/" + rapid.String().Draw(t, "p"))
		if b, _ := shape(a); b != a {
			t.Fatalf("%q %q", a, b)
		}
	})
}
