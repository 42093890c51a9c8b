package torture

import (
	"bytes"
	"slices"
	"strings"
	"testing"
)

// remembered is a log that nobody reads.
type remembered struct{ offset int64 }

func (l *remembered) name() (string, int32) { return "memory", 0 }

func (l *remembered) flush() error { return nil }

func (l *remembered) write(rs []*request) error {
	for _, r := range rs {
		r.offset = l.offset
		l.offset++
	}
	return nil
}

// A campaign proves something only if what it looks for would be seen.
func TestTheJudgeSeesEveryKindOfFault(t *testing.T) {
	logs := []log{&remembered{}}
	w, err := newTraffic(1, 100, sources{logs: logs})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 60 {
		if err := w.burst(40, liveFrom.UnixMilli()+int64(i+1)*1000); err != nil {
			t.Fatal(err)
		}
	}
	close(w.stopped)
	last, err := w.finish()
	if err != nil {
		t.Fatal(err)
	}
	want := foresee(exact(), logs, w.sent, nil, last)
	lines := func(of []decided) (text [][]byte) {
		for i := range of {
			text = append(text, []byte(of[i].text()))
		}
		return text
	}
	if v := judge(lines(want), want, last); v.wrong != 0 || v.right < 1000 {
		t.Fatalf("what is foreseen is not right: %v", v)
	}
	some := w.sent[len(w.sent)/2]
	for what, fault := range map[string]func() [][]byte{
		"a lost event": func() [][]byte {
			var left []*request
			for _, r := range w.sent {
				if r != some {
					left = append(left, r)
				}
			}
			return lines(foresee(exact(), logs, left, nil, last))
		},
		"an event that counts twice": func() [][]byte {
			return lines(foresee(exact(), logs, append(slices.Clip(w.sent), some), nil, last))
		},
		"a missing line": func() [][]byte { return lines(want[1:]) },
		"a line that stands there twice": func() [][]byte {
			all := lines(want)
			return append(all, all[len(all)-1])
		},
		"lines out of order": func() [][]byte {
			all := lines(want)
			all[0], all[len(all)-1] = all[len(all)-1], all[0]
			return all
		},
		"an offset that is another": func() [][]byte {
			all := lines(want)
			for i := range all {
				if bytes.Contains(all[i], []byte(`"offsets":[17`)) {
					all[i] = bytes.Replace(all[i], []byte(`"offsets":[17`), []byte(`"offsets":[18`), 1)
					return all
				}
			}
			t.Fatal("no line names offset 17…")
			return nil
		},
		"windows that are not whole": func() [][]byte {
			all := lines(want)
			all[0] = bytes.Replace(all[0], []byte(`"evidence"`), []byte(`"incomplete":"2026-03-06T10:00:00Z","evidence"`), 1)
			return all
		},
	} {
		if v := judge(fault(), want, last); v.wrong == 0 {
			t.Errorf("%s is not seen", what)
		} else if !strings.Contains(v.String(), "wrong\n") {
			t.Errorf("%s is seen but not shown: %v", what, v)
		}
	}
	if crashed("time=… level=INFO msg=stopping") || !crashed("x\ngoroutine 1 [running]:\n") {
		t.Error("a crash is not told from other words")
	}
}
