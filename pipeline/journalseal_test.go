package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/internal/seal"
)

// golden are lines of a journal as they are on disk.
const golden = `{"event":"start","source":"log","partition":3,"offset":12,"sum":"af9b1941"}
{"event":"file","source":"log","partition":0,"offset":40,"first":"0f3e","log":"/var/log/\"odd name\".log","sum":"ce8be101"}
{"event":"wake","source":"log","partition":3,"offset":17,"watermark":1780000000,"sum":"52ed92de"}
`

func goldenMarks() []Mark {
	return []Mark{
		{Event: MarkStart, Source: "log", Partition: 3, Offset: 12},
		{Event: MarkFile, Source: "log", Offset: 40, First: "0f3e", Log: `/var/log/"odd name".log`},
		{Event: MarkWake, Source: "log", Partition: 3, Offset: 17, Watermark: 1_780_000_000},
	}
}

func written(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "journal.jsonl")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func opened(t *testing.T, path string, tidyFrom int64) *Journal {
	t.Helper()
	j, err := openJournal(path, tidyFrom)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() }) // a test may have closed it
	return j
}

func TestTheBytesOfAJournal(t *testing.T) {
	path := written(t, "")
	if err := opened(t, path, tidySize).Append(goldenMarks()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != golden {
		t.Errorf("%v, it is\n%swant\n%s", err, b, golden)
	}
	tidy := opened(t, path, 1) // at once
	const head = `{"tidied":{"before":298,"head":{"size":298,"sum":1442308883}},"sum":"3c9b6135"}` + "\n"
	if b, err := os.ReadFile(path); err != nil || string(b) != head+golden {
		t.Errorf("%v, tidied it is\n%swant\n%s", err, b, head+golden)
	}
	if !slices.Equal(tidy.Marks(), goldenMarks()) {
		t.Errorf("tidied it has %v", tidy.Marks())
	}
}

func TestAFlippedBitInAJournalIsSeenAndNamed(t *testing.T) {
	const path = "state/journal.jsonl"
	for bit := range 8 * len(golden) {
		b := []byte(golden)
		b[bit/8] ^= 1 << (bit % 8)
		read, err := readJournal(bytes.NewReader(b), path)
		marks, repaired := read.marks, read.repaired
		switch last := bytes.HasSuffix(b, []byte("\n")); {
		case err != nil && !strings.Contains(err.Error(), fmt.Sprintf("%s:%d: ", path, 1+strings.Count(string(b[:bit/8]), "\n"))):
			t.Fatalf("bit %d of byte %d: the error names another line: %v", bit%8, bit/8, err)
		case err == nil && (last || !slices.Equal(marks, goldenMarks())):
			t.Fatalf("bit %d of byte %d: it is read as %v, %q", bit%8, bit/8, marks, repaired)
		}
	}
}

func TestAJournalWithoutSumsIsTakenAsItIs(t *testing.T) {
	const old = `{"event":"wake","source":"log","partition":1,"offset":5,"watermark":100}` + "\n"
	path := written(t, old)
	j := opened(t, path, tidySize)
	if err := j.Append(goldenMarks()); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != old+golden {
		t.Errorf("%v, it is\n%s", err, b)
	}
	if marks, _, err := ReadJournal(path); err != nil || len(marks) != 4 {
		t.Errorf("%v, %v", marks, err)
	}
}

func TestAnOpenedJournalIsWhatItWas(t *testing.T) {
	for _, c := range []struct{ name, has, want string }{
		{"whole", golden, golden},
		{"torn", golden + `{"event":"wa`, golden},
		{"without its last newline", strings.TrimSuffix(golden, "\n"), golden},
		{"with something else for it", strings.TrimSuffix(golden, "\n") + "\x0e", golden},
	} {
		path := written(t, c.has)
		j := opened(t, path, tidySize)
		b, err := os.ReadFile(path)
		if err != nil || string(b) != c.want {
			t.Errorf("%s: %v, it became\n%s", c.name, err, b)
		}
		if want := (seal.Seal{}).With(b); j.Seal() != want {
			t.Errorf("%s: its seal is %+v, want %+v", c.name, j.Seal(), want)
		}
	}
}

// A journal is sealed again and again while it grows and is tidied, and a copy
// of its file is kept each time: all later files pass the check of all earlier
// seals, and no earlier file that of a later seal.
func TestASealedJournalMayGrowAndBeTidiedButNotShrink(t *testing.T) {
	path := written(t, "")
	j := opened(t, path, 800)
	type moment struct {
		seal seal.Seal
		file []byte
	}
	var moments []moment
	tidied := 0
	for i := range 36 {
		if i%17 == 16 { // another life
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			j = opened(t, path, 800)
		}
		if err := j.Append([]Mark{{Event: MarkIdle, Source: "log", Partition: int32(i % 3), Offset: 7, Watermark: int64(1_780_000_000 + i)}}); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if bytes.HasPrefix(b, []byte(tidiedBegin)) && bytes.Count(b, []byte("\n")) == 4 {
			tidied++
		}
		moments = append(moments, moment{j.Seal(), b})
	}
	if tidied < 3 {
		t.Fatalf("it was tidied %d times, want some", tidied)
	}
	check := func(file []byte, s seal.Seal) error {
		if err := os.WriteFile(path, file, 0o600); err != nil {
			t.Fatal(err)
		}
		return CheckJournal(path, s)
	}
	for i, file := range moments {
		for k, sealed := range moments {
			err := check(file.file, sealed.seal)
			if i >= k && err != nil {
				t.Fatalf("sealed after mark %d, the file of mark %d: %v", k, i, err)
			}
			if i < k && (!errors.Is(err, seal.ErrBroken) || !strings.Contains(err.Error(), path)) {
				t.Fatalf("sealed after mark %d, the file of mark %d: %v, want one that names %s", k, i, err, path)
			}
		}
		// What was taken over when it was tidied must be there, too.
		lines := bytes.SplitAfter(file.file, []byte("\n"))
		if bytes.HasPrefix(lines[0], []byte(tidiedBegin)) {
			for _, cut := range [][]byte{lines[0], bytes.Join(lines[:3], nil), bytes.Join(append(slices.Clone(lines[:1]), lines[2:]...), nil)} {
				if err := check(cut, moments[0].seal); !errors.Is(err, seal.ErrBroken) {
					t.Fatalf("the file of mark %d, cut to %d bytes: %v", i, len(cut), err)
				}
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if err := CheckJournal(path, moments[0].seal); !errors.Is(err, seal.ErrBroken) || !strings.Contains(err.Error(), path) {
		t.Errorf("of a journal that is missing: %v", err)
	}
}
