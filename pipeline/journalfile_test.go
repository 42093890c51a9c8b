package pipeline_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/pipeline"
)

func journalWith(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

func openJournal(t *testing.T, path string) *pipeline.Journal {
	t.Helper()
	j, err := pipeline.OpenJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func TestAJournalHoldsWhatWasAppended(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := openJournal(t, path)
	if len(j.Marks()) != 0 || j.Repaired() != "" {
		t.Errorf("a new journal has %v, repaired %q", j.Marks(), j.Repaired())
	}
	want := []pipeline.Mark{
		{Event: pipeline.MarkStart, Source: "log", Partition: 3, Offset: 12},
		{Event: pipeline.MarkFile, Source: "log", Offset: 40, First: "0f3e", Log: `/var/log/"odd name".log`},
		{Event: pipeline.MarkWake, Source: "log", Partition: 3, Offset: 17, Watermark: base},
	}
	for _, ms := range [][]pipeline.Mark{want[:1], nil, want[1:]} {
		if err := j.Append(ms); err != nil {
			t.Fatal(err)
		}
		got, torn, err := pipeline.ReadJournal(path) // it is there when Append returns
		if err != nil || torn != "" || len(ms) > 0 && !slices.Equal(got[len(got)-len(ms):], ms) {
			t.Errorf("%v, %q, %v after %v", got, torn, err, ms)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if got := openJournal(t, path).Marks(); !slices.Equal(got, want) {
		t.Errorf("opened again it has %v, want %v", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v: others may read it", info.Mode(), err)
	}
}

func TestALastLineThatWasCutShortIsLeftOutAndSaid(t *testing.T) {
	const first = `{"event":"wake","source":"log","partition":1,"offset":5,"watermark":100}` + "\n"
	const second = `{"event":"idle","source":"log","partition":1,"offset":9,"watermark":300}`
	for cut := range len(second) + 1 {
		path := journalWith(t, first+second[:cut])
		j := openJournal(t, path)
		want := 1
		if cut == len(second) {
			want = 2 // nothing is missing but the newline
		}
		if got := j.Marks(); len(got) != want {
			t.Errorf("cut after %d bytes: %d marks, want %d", cut, len(got), want)
		}
		if said := strings.Contains(j.Repaired(), path+":2"); said != (cut > 0 && want == 1) {
			t.Errorf("cut after %d bytes: it says %q", cut, j.Repaired())
		}
		if err := j.Append([]pipeline.Mark{{Event: pipeline.MarkWake, Source: "log", Offset: 1, Watermark: 7}}); err != nil {
			t.Fatal(err)
		}
		got, torn, err := pipeline.ReadJournal(path)
		if err != nil || torn != "" || len(got) != want+1 {
			t.Errorf("cut after %d bytes, then appended to: %v, %q, %v", cut, got, torn, err)
		}
	}
}

func TestALineThatIsNoMarkIsAnErrorWithItsNumber(t *testing.T) {
	const good = `{"event":"wake","source":"log","partition":1,"offset":5,"watermark":100}` + "\n"
	for _, tt := range []struct{ line, want string }{
		{`{"event":"wake","source":"log"`, "unexpected EOF"},
		{`{"event":"woke","source":"log"}`, `event "woke"`},
		{`{"event":"wake","sauce":"log"}`, "unknown field"},
		{`{"event":"wake","offset":-1}`, "offset -1"},
		{`{"event":"wake","offset":9223372036854775807}`, "offset 9223372036854775807"},
		{`{"event":"wake","partition":-1}`, "partition -1"},
		{`{"event":"wake","partition":1048576}`, "partition 1048576"},
		{`{"event":"wake","watermark":-1}`, "watermark -1"},
		{fmt.Sprintf(`{"event":"wake","watermark":%d}`, int64(pipeline.LastSecond)+1), "watermark 4"},
		{`{"event":"wake"}{"event":"wake"}`, "more than one value"},
		{"\x00\x00\x00", "invalid character"},
		{`{"first":"` + strings.Repeat("x", 16<<10) + `"}`, "longer than 16384 bytes"},
	} {
		path := journalWith(t, good+tt.line+"\n"+good)
		_, err := pipeline.OpenJournal(path)
		if err == nil || !strings.Contains(err.Error(), path+":2: ") || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%.60s: error %v, want %s:2 and %q", tt.line, err, path, tt.want)
		}
		b, err := os.ReadFile(path)
		if err != nil || string(b) != good+tt.line+"\n"+good {
			t.Errorf("%.60s: the file was changed", tt.line)
		}
	}
}

func TestALineWithoutAnEventIsOfOneThatWoke(t *testing.T) {
	j := openJournal(t, journalWith(t, "\n"+`{"source":"log","partition":0,"offset":2,"watermark":50}`+"\n\n"))
	if got := j.Marks(); !slices.Equal(got, []pipeline.Mark{{Event: pipeline.MarkWake, Source: "log", Offset: 2, Watermark: 50}}) {
		t.Errorf("it is read as %v", got)
	}
}

func TestOpeningKeepsOneLineForEachPlace(t *testing.T) {
	m := func(e pipeline.MarkEvent, p int32, offset, w int64) pipeline.Mark {
		return pipeline.Mark{Event: e, Source: "log", Partition: p, Offset: offset, Watermark: w}
	}
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := openJournal(t, path)
	if err := j.Append([]pipeline.Mark{
		m(pipeline.MarkStart, 1, 0, 0), m(pipeline.MarkStart, 0, 0, 0), m(pipeline.MarkIdle, 0, 3, 50), m(pipeline.MarkIdle, 0, 3, 70),
		m(pipeline.MarkIdle, 0, 3, 60), m(pipeline.MarkWake, 0, 3, 80), m(pipeline.MarkIdle, 1, 3, 65), m(pipeline.MarkIdle, 0, 4, 90),
	}); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	want := []pipeline.Mark{
		m(pipeline.MarkStart, 1, 0, 0), m(pipeline.MarkStart, 0, 0, 0), m(pipeline.MarkIdle, 0, 3, 70),
		m(pipeline.MarkWake, 0, 3, 80), m(pipeline.MarkIdle, 1, 3, 65), m(pipeline.MarkIdle, 0, 4, 90),
	}
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got := openJournal(t, path).Marks(); !slices.Equal(got, want) {
		t.Errorf("%v\nwant %v", got, want)
	}
	if got, err := os.ReadFile(path); err != nil || !bytes.Equal(got, before) {
		t.Errorf("the file was changed to %s, %v", got, err)
	}
}

func TestAJournalRefusesWhatItCouldNotReadBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "journal.jsonl")
	j := openJournal(t, path)
	m := []pipeline.Mark{{Event: pipeline.MarkWake, Source: "log", Offset: 1, Watermark: 7}}
	if err := j.Append([]pipeline.Mark{{Event: "nap"}}); err == nil {
		t.Error("a mark of no event was written")
	}
	if err := j.Append([]pipeline.Mark{{Event: pipeline.MarkWake, Source: strings.Repeat("s", 17<<10)}}); err == nil {
		t.Error("a mark was written that cannot be read back")
	}
	if err := j.Append(m); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Append(m); err == nil {
		t.Error("a closed journal takes marks")
	}
	if got, torn, err := pipeline.ReadJournal(path); err != nil || torn != "" || !slices.Equal(got, m) {
		t.Errorf("%v, %q, %v", got, torn, err)
	}
	if _, err := pipeline.OpenJournal(filepath.Join(t.TempDir(), "no", "journal.jsonl")); err == nil {
		t.Error("a journal in a directory that is not there was opened")
	}
}
