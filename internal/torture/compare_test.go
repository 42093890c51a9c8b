package torture

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// numbered returns the files that a log of weir's own was put aside as, oldest
// first, and the one that it is written to.
func numbered(dir, name string) (paths []string) {
	stem := strings.TrimSuffix(name, ".jsonl")
	for n := 1; ; n++ {
		path := filepath.Join(dir, stem+"-"+strconv.Itoa(n)+".jsonl")
		if _, err := os.Stat(path); err != nil {
			break
		}
		paths = append(paths, path)
	}
	return append(paths, filepath.Join(dir, name))
}

// readLines returns the whole lines of decisions.jsonl in a directory.
func readLines(dir, name string) (lines [][]byte, err error) {
	for _, path := range numbered(dir, name) {
		b, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		b = b[:bytes.LastIndexByte(b, '\n')+1]
		for line := range bytes.Lines(b) {
			lines = append(lines, bytes.TrimSuffix(line, []byte("\n")))
		}
	}
	return lines, nil
}

// newest returns the time of the last line of decisions.jsonl; zero: there is
// none.
func newest(dir string) (at time.Time) {
	paths := numbered(dir, "decisions.jsonl")
	slices.Reverse(paths)
	for _, path := range paths[:min(2, len(paths))] {
		f, err := os.Open(path)
		if err != nil {
			continue
		}
		const tail = 16 << 10
		b := make([]byte, tail)
		info, err := f.Stat()
		if err == nil {
			n, _ := f.ReadAt(b, max(0, info.Size()-tail)) // at the end of the file it says so
			b = b[:n]
		}
		f.Close()
		b = b[:bytes.LastIndexByte(b, '\n')+1]
		b = b[bytes.LastIndexByte(bytes.TrimSuffix(b, []byte("\n")), '\n')+1:]
		var d decided
		if json.Unmarshal(b, &d) == nil {
			return d.Time
		}
	}
	return at
}

// readDecision reads a line. Of the exact rules all that it says must be known.
func readDecision(line []byte) (d decided, err error) {
	dec := json.NewDecoder(bytes.NewReader(line))
	if bytes.Contains(line, []byte(`"rule":"exact.`)) {
		dec.DisallowUnknownFields()
	}
	err = dec.Decode(&d)
	d.Regulars = nil
	return d, err
}

// verdict is how the lines of a run compare with what they must be.
type verdict struct {
	right                                   int
	missing, extra, differing, twice, order []string // some of each
	wrong                                   int
}

func (v *verdict) note(of *[]string, format string, args ...any) {
	v.wrong++
	if len(*of) < 2 {
		*of = append(*of, fmt.Sprintf(format, args...))
	}
}

func (v *verdict) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%d lines right, %d wrong", v.right, v.wrong)
	for _, some := range []struct {
		what  string
		lines []string
	}{{"missing", v.missing}, {"extra", v.extra}, {"differing", v.differing}, {"twice", v.twice}, {"out of order", v.order}} {
		for _, line := range some.lines {
			fmt.Fprintf(&b, "\n%s: %s", some.what, line)
		}
	}
	return b.String()
}

// judge compares lines, up to a tick and those of the exact rules, with the
// lines that must be there.
func judge(lines [][]byte, want []decided, last int64) *verdict {
	v := &verdict{}
	must := make(map[string]*decided, len(want))
	for i := range want {
		must[want[i].what()] = &want[i]
	}
	seen := make(map[string]bool, len(lines))
	var before time.Time
	for n, line := range lines {
		d, err := readDecision(line)
		if err != nil {
			v.note(&v.extra, "line %d is no decision: %v: %s", n+1, err, line)
			continue
		}
		if d.Time.Before(before) {
			v.note(&v.order, "line %d: %s", n+1, line)
		}
		before = d.Time
		if seen[d.what()] {
			v.note(&v.twice, "line %d: %s", n+1, line)
			continue
		}
		seen[d.what()] = true
		if d.Time.Unix() > last || !strings.HasPrefix(d.Rule, "exact.") {
			continue
		}
		w := must[d.what()]
		if w == nil {
			v.note(&v.extra, "line %d: %s", n+1, line)
			continue
		}
		delete(must, d.what())
		if w.Good == nil {
			d.Good, d.Tried, d.Clean = nil, nil, nil
		}
		if got, want := d.text(), w.text(); got != want {
			v.note(&v.differing, "line %d:\n got %s\nwant %s", n+1, got, want)
			continue
		}
		v.right++
	}
	for i := range want {
		if w := &want[i]; must[w.what()] == w {
			v.note(&v.missing, "%s", w.text())
		}
	}
	return v
}

// upTo returns the lines of ticks up to the last one.
func upTo(lines [][]byte, last int64) [][]byte {
	return slices.DeleteFunc(slices.Clone(lines), func(line []byte) bool {
		var d decided
		return json.Unmarshal(line, &d) == nil && d.Time.Unix() > last
	})
}

// same reports the first difference between what a run and a replay decided.
func same(t *testing.T, live, replayed [][]byte) {
	t.Helper()
	if slices.EqualFunc(live, replayed, bytes.Equal) {
		return
	}
	i := 0
	for i < min(len(live), len(replayed)) && bytes.Equal(live[i], replayed[i]) {
		i++
	}
	at := func(lines [][]byte) string {
		if i < len(lines) {
			return string(lines[i])
		}
		return "nothing"
	}
	t.Errorf("the run decided %d lines, a replay with its journal %d; from line %d on:\nrun    %s\nreplay %s", len(live), len(replayed), i+1, at(live), at(replayed))
}

// ledgerTwice returns lines of the ledger that stand there more than once.
func ledgerTwice(dir string) (lines int, twice []string, err error) {
	all, err := readLines(dir, "ledger.jsonl")
	if err != nil {
		return 0, nil, err
	}
	seen := map[string]bool{}
	for _, line := range all {
		var l struct {
			Event, ID string
			Again     int
		}
		if err := json.Unmarshal(line, &l); err != nil {
			return 0, nil, fmt.Errorf("ledger: %w: %s", err, line)
		}
		if what := l.Event + " " + l.ID; l.ID != "" && l.Again == 0 {
			if seen[what] {
				twice = append(twice, string(line))
			}
			seen[what] = true
		}
	}
	return len(all), twice, nil
}

// ledgerLacks returns what the ledger does not have, once and as it must be, of
// decisions that block: the log is long over, so that each is late when it is made,
// and none is enforced.
func ledgerLacks(dir string, want []decided) (lacks []string, blocks, renewed int, err error) {
	all, err := readLines(dir, "ledger.jsonl")
	if err != nil {
		return nil, 0, 0, err
	}
	there := map[string]int{}
	for _, line := range all {
		var d decided
		if err := json.Unmarshal(line, &d); err != nil {
			return nil, 0, 0, fmt.Errorf("ledger: %w: %s", err, line)
		}
		if d.Mode == "late" && d.Action == "none" && d.Would == "block" {
			there[fmt.Sprint(d.what(), d.Rule, d.Time, d.Until, d.Target)]++
		}
	}
	for i := range want {
		d := &want[i]
		if d.Would != "block" || d.Event == "end" {
			continue
		}
		blocks++
		if d.Event == "renew" {
			renewed++
		}
		if n := there[fmt.Sprint(d.what(), d.Rule, d.Time, d.Until, d.Target)]; n != 1 {
			lacks = append(lacks, fmt.Sprintf("%d times: %s", n, d.text()))
		}
	}
	return lacks, blocks, renewed, nil
}

// readMarks returns what weir's journal says of logs.
func readMarks(dir string) (marks []mark, err error) {
	f, err := os.Open(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r := bufio.NewScanner(f)
	r.Buffer(nil, 1<<20)
	for r.Scan() {
		var m mark
		if err := json.Unmarshal(r.Bytes(), &m); err != nil {
			return nil, fmt.Errorf("journal: %w: %s", err, r.Bytes())
		}
		marks = append(marks, m)
	}
	return marks, r.Err()
}
