package replay

import (
	"context"
	"os"
	"testing"

	"weir/rules"
)

func TestX(t *testing.T) {
	fsys := os.DirFS("../rulesets")
	rs, err := rules.LoadFS(fsys, ".", rules.Options{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := Load(fsys, "ato/stuffing_source.test", &Library{Rules: rs})
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.Play(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range f {
		t.Error(f)
	}
}
