package enrich

import (
	"bufio"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"weir/event"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func shape(path string) (template, item string) {
	var mem event.Arena
	clean := cleanPath(path, &mem)
	if clean == "" {
		return "", ""
	}
	b, from, to := appendShape(nil, clean)
	if to > from {
		item = clean[from:to]
	}
	return string(b), item
}

func TestPathsAreShapedAsAPersonWould(t *testing.T) {
	paths := readLines(t, "testdata/shape/paths.txt")
	var got strings.Builder
	for _, p := range paths {
		template, item := shape(p)
		fmt.Fprintf(&got, "%s\n\t%s\n", p, template)
		if item != "" {
			fmt.Fprintf(&got, "\titem %s\n", item)
		}
	}
	golden(t, "testdata/shape/paths.golden", got.String())
}

func readLines(t testing.TB, path string) (lines []string) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		lines = append(lines, sc.Text())
	}
	if len(lines) == 0 {
		t.Fatalf("%s is empty", path)
	}
	return lines
}

func checkShape(t interface{ Errorf(string, ...any) }, path string) {
	template, _ := shape(path)
	if len(template) > maxShape {
		t.Errorf("%q: template of %d bytes", path, len(template))
	}
	if n := strings.Count(template, "/"); n > maxSegments+1 {
		t.Errorf("%q: template of %d segments: %s", path, n, template)
	}
	if again, _ := shape(template); again != template {
		t.Errorf("%q: template %q becomes %q", path, template, again)
	}
	var mem event.Arena
	clean := cleanPath(path, &mem)
	if again := cleanPath(clean, &mem); again != clean {
		t.Errorf("%q: clean %q becomes %q", path, clean, again)
	}
	if len(clean) > len(path)+1 {
		t.Errorf("%q: clean %q is longer", path, clean)
	}
}

func TestShapeOfAShapeIsTheSame(t *testing.T) {
	segment := rapid.OneOf(
		rapid.StringMatching(`[a-z]{1,12}`), rapid.StringMatching(`[0-9]{1,10}`), rapid.StringMatching(`[a-zA-Z0-9_.%;~@{}:+-]{0,40}`),
		rapid.SampledFrom([]string{"{n}", "{...}", "page-{n}", "v1", "2015", "08", "10", "{date}", "blog", "products", "app.js", "%2e%2e", "..", ".", "a-b-c-d",
			"{slug}.html", "{file}.js", "%D0%BF%D1%80%D0%B8", "favicon.ico", "new", "x{n}"}), rapid.String())
	rapid.Check(t, func(t *rapid.T) {
		checkShape(t, "/"+strings.Join(rapid.SliceOfN(segment, 0, 14).Draw(t, "segments"), "/"))
	})
}

func TestLongTemplatesEndInAnEllipsis(t *testing.T) {
	cut := 0
	for i := range len("consideration") {
		path := strings.Repeat("/terms-and-conditions", 5) + "/" + "consideration"[:i+1] + "/something"
		checkShape(t, path)
		if template, _ := shape(path); strings.HasSuffix(template, "/{...}") {
			cut++
		} else if template != path {
			t.Errorf("%s: %s", path, template)
		}
	}
	if cut == 0 {
		t.Error("no template was cut")
	}
}

func FuzzShape(f *testing.F) {
	for _, p := range readLines(f, "testdata/shape/paths.txt") {
		f.Add(p)
	}
	f.Fuzz(func(t *testing.T, path string) { checkShape(t, path) })
}

func TestRandomPathsHaveFewShapes(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	for _, c := range []struct {
		letters  string
		size     int
		distinct int // at most, of 10,000
	}{
		{"abcdefghijklmnopqrstuvwxyz0123456789", 16, 60},
		{"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_", 22, 60},
		{"0123456789abcdef", 12, 10},
		{"abcdefghijklmnopqrstuvwxyz", 12, 500},
	} {
		seen := map[string]bool{}
		for range 10_000 {
			b := make([]byte, c.size)
			for i := range b {
				b[i] = c.letters[r.IntN(len(c.letters))]
			}
			template, _ := shape("/p/" + string(b))
			other, _ := shape("/" + string(b))
			seen[template], seen[other] = true, true
		}
		if len(seen) > c.distinct {
			t.Errorf("%d of %q: %d shapes, must be at most %d", c.size, c.letters, len(seen), c.distinct)
		}
	}
}

func TestPathsOfOneMeaningAreCleanedToOne(t *testing.T) {
	for _, c := range []struct{ path, want string }{
		{"", ""}, {"*", ""}, {"login", ""}, {"\x16\x03\x01", ""},
		{"/", "/"}, {"//", "/"}, {"/.", "/"}, {"/..", "/"}, {"/../..//", "/"},
		{"/a//b/./c/../d/", "/a/b/d/"}, {"/a/b/..", "/a/"}, {"/a/.", "/a/"}, {"/a/..b", "/a/..b"}, {"/.git/config", "/.git/config"},
		{"/%6cogin", "/login"}, {"/%2e%2e/login", "/login"}, {"/a%2fb", "/a%2Fb"}, {"/%2541", "/%2541"}, {"/a%", "/a%"}, {"/a%4", "/a%4"},
		{"/a%zz", "/a%zz"}, {"/login;jsessionid=1", "/login"}, {"/a;x=1/b;y", "/a/b"}, {"/;x", "/"}, {"/a?b=/c", "/a"}, {"/a#b", "/a"},
		{"/caf%c3%a9", "/caf%C3%A9"}, {"/LOGIN", "/LOGIN"},
	} {
		var mem event.Arena
		if got := cleanPath(c.path, &mem); got != c.want {
			t.Errorf("%q: %q, want %q", c.path, got, c.want)
		}
	}
}
