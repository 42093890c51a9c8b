package replay

import (
	"io/fs"
	"os"
	"testing"
	"testing/fstest"
	"time"
)

func FuzzScript(f *testing.F) {
	lib := testLibrary(f)
	for _, dir := range []string{"rules", "errors", "failures"} {
		for _, file := range scriptsUnder(f, dir) {
			src, err := fs.ReadFile(os.DirFS("testdata"), file)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(src)
		}
	}
	site, err := os.ReadFile("testdata/rules/shop/shop.site")
	if err != nil {
		f.Fatal(err)
	}
	fsys := fstest.MapFS{"shop/shop.site": {Data: site}}
	f.Fuzz(func(t *testing.T, src []byte) {
		start := time.Now()
		script, err := Parse(fsys, "shop/fuzz.test", src, lib)
		if took := time.Since(start); took > time.Second {
			t.Errorf("%d bytes took %v", len(src), took)
		}
		if (script == nil) == (err == nil) {
			t.Fatalf("script %v, error %v", script, err)
		}
		if err == nil && (script.Expectations() == 0 || len(script.Rules()) == 0) {
			t.Error("a script without an expectation was accepted")
		}
	})
}
