package seal_test

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"weir/internal/seal"
)

func written(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "log.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestASealIsOfWhatWasAppendedHoweverItWas(t *testing.T) {
	const text = "123456789"
	whole := seal.Seal{}.With([]byte(text))
	if whole != (seal.Seal{Size: 9, Sum: 0xe3069283}) { // the check value of CRC-32C
		t.Errorf("the seal of %s is %+v", text, whole)
	}
	if parts := (seal.Seal{}).With([]byte("12")).With(nil).With([]byte("3456789")); parts != whole {
		t.Errorf("in parts it is %+v, at once %+v", parts, whole)
	}
	var copied seal.Seal
	if _, err := io.Copy(&copied, strings.NewReader(text)); err != nil || copied != whole {
		t.Errorf("copied it is %+v, %v, want %+v", copied, err, whole)
	}
	if seal.Sum([]byte(text)) != whole.Sum {
		t.Error("a sum is not that of the seal")
	}
}

func TestAFileMustBeginAsItWasSealed(t *testing.T) {
	const text = "one\ntwo\nthree\n"
	s := seal.Seal{}.With([]byte(text))
	for _, c := range []struct{ name, now, want string }{
		{"as it was", text, ""},
		{"grown", text + "four\n", ""},
		{"torn behind it", text + "fo", ""},
		{"cut by a byte", text[:len(text)-1], "it has 13 bytes, and had at least 14"},
		{"emptied", "", "it has 0 bytes"},
		{"a bit at the start", "nne\ntwo\nthree\n", "something within its first 14 bytes was changed"},
		{"a bit at the end", "one\ntwo\nthree\x0e", "was changed"},
		{"a line moved", "two\none\nthree\n", "was changed"},
	} {
		path := written(t, c.now)
		err := seal.Check(s, path)
		if c.want == "" && err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if c.want != "" && (!errors.Is(err, seal.ErrBroken) || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), path)) {
			t.Errorf("%s: %v, want %s and %q", c.name, err, path, c.want)
		}
	}
	missing := filepath.Join(t.TempDir(), "none")
	if err := seal.Check(s, missing); !errors.Is(err, seal.ErrBroken) || !strings.Contains(err.Error(), "it is missing") {
		t.Errorf("of a file that is missing: %v", err)
	}
	if err := seal.Check(seal.Seal{}, missing); err != nil {
		t.Errorf("nothing was sealed, and yet: %v", err)
	}
}

func TestAFileIsFoundWhereItWasPutAside(t *testing.T) {
	s := seal.Seal{}.With([]byte("old\n"))
	now, aside, other := written(t, "new\n"), written(t, "old\nand more\n"), written(t, "odd\n")
	if err := seal.Check(s, now, other, aside); err != nil {
		t.Error(err)
	}
	if err := seal.Check(s, now, other); !errors.Is(err, seal.ErrBroken) || !strings.HasPrefix(err.Error(), now) {
		t.Errorf("it was put aside nowhere: %v, want one about %s", err, now)
	}
	if err := seal.Check(s, filepath.Dir(now)); err == nil {
		t.Error("a directory begins as a file did")
	}
}

func TestAKeptSealIsTheOneThatWasSet(t *testing.T) {
	var k seal.Kept
	if k.Load() != (seal.Seal{}) {
		t.Error("at first it is not that of an empty file")
	}
	want := seal.Seal{Size: 3, Sum: 7}
	if k.Set(want); k.Load() != want {
		t.Errorf("%+v, want %+v", k.Load(), want)
	}
}
