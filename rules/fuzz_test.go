package rules

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"weir/state"
	"weir/windows"
)

// slow is what no text of 4 KiB may take; a loaded machine gets some slack.
const slow = 50 * time.Millisecond

func FuzzParse(f *testing.F) {
	for _, pattern := range []string{"testdata/errors/*.yaml", "testdata/good/*.yaml"} {
		for _, file := range sources(f, pattern) {
			f.Add(read(f, file))
		}
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		start := time.Now()
		r, err := Parse("f.yaml", src, testOptions)
		if took := time.Since(start); took > slow {
			start = time.Now() // once more, for the machine may have been busy
			_, _ = Parse("f.yaml", src, testOptions)
			if again := time.Since(start); again > slow {
				t.Errorf("took %v and %v", took, again)
			}
		}
		if (r == nil) == (err == nil) {
			t.Fatalf("rule %v, error %v", r, err)
		}
		if err != nil {
			checkFaults(t, string(src), err)
			return
		}
		again, err := CompileEvent(r.Where.Text, testOptions)
		if err != nil || again.Text != r.Where.Text {
			t.Errorf("where %s reads as %v, %v", r.Where.Text, again, err)
		}
		if r.When == nil || len(r.Key) == 0 || r.ID == "" || r.Version < 1 {
			t.Errorf("%+v", r)
		}
	})
}

func checkFaults(t *testing.T, src string, err error) {
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		if len(src) <= MaxSource {
			t.Fatalf("%T: %v", err, err)
		}
		return
	}
	for _, e := range joined.Unwrap() {
		var fault *Fault
		if !errors.As(e, &fault) || fault.Line < 1 || fault.Column < 1 || fault.Message == "" {
			t.Errorf("%#v", e)
		}
	}
}

func FuzzCompileEvent(f *testing.F) {
	for _, text := range hotConditions {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		e, err := CompileEvent(text, testOptions)
		if err != nil {
			return
		}
		st := *hotFacts
		if got, want := e.Match(hotEvent, &st), vmMatch(e.tree)(hotEvent, &st); got != want {
			t.Errorf("%s as %s: closures %v, machine %v", text, e.Text, got, want)
		}
		if len(e.Text) > MaxSource {
			return // escapes have made it longer than what is read
		}
		again, err := CompileEvent(e.Text, testOptions)
		if err != nil || again.Text != e.Text {
			t.Errorf("%s as %s reads as %v, %v", text, e.Text, again, err)
		}
	})
}

// record puts a body into a record: a checksum keeps nobody off who can write.
func record(body []byte, version byte) []byte {
	b, start := state.BeginRecord(nil)
	b = append(b, body...)
	state.EndRecord(b, start, version)
	return b
}

// bodyOf takes the body out again.
func bodyOf(f *testing.F, b []byte) []byte {
	body, _, err := state.ReadRecord(b, b[0])
	if err != nil {
		f.Fatal(err)
	}
	return body
}

func FuzzReadShared(f *testing.F) {
	st := sampled(f)
	f.Add(bodyOf(f, st.appendShared()))
	f.Fuzz(func(t *testing.T, body []byte) {
		if err := st.readShared(record(body, 1)); err != nil {
			return
		}
		first := st.appendShared()
		if err := st.readShared(first); err != nil || !bytes.Equal(first, st.appendShared()) {
			t.Errorf("%x is read as something else again: %v", body, err)
		}
	})
}

// What is taken of a unit's head can be exchanged at a boundary.
func FuzzReadHead(f *testing.F) {
	st := sampled(f)
	f.Add(bodyOf(f, st.units[0].appendHead()))
	f.Fuzz(func(t *testing.T, body []byte) {
		to := newState(st.plan, 1, Limits{}, enforced, named)
		u := newUnit(to, windows.NewUnit(&st.plan.Layout, 0))
		to.units = []*Unit{u}
		for k, s := range st.board.on {
			to.shownChanges(nil, s)
			to.board.put(k, s)
		}
		if _, err := u.readHead(record(body, 1)); err != nil {
			return
		}
		first := u.appendHead()
		again := newUnit(to, nil)
		if _, err := again.readHead(first); err != nil || !bytes.Equal(first, again.appendHead()) {
			t.Errorf("%x is read as something else again: %v", body, err)
		}
		to.Boundary(1_780_000_210)
		to.Boundary(1_780_000_220)
	})
}

func FuzzReadOnState(f *testing.F) {
	st := sampled(f)
	for place, s := range st.units[0].shown {
		f.Add(place.Hi, place.Lo, bodyOf(f, st.appendOnState(nil, s)))
	}
	f.Fuzz(func(t *testing.T, hi, lo uint64, body []byte) {
		place := windows.Key{Hi: hi, Lo: lo}
		s, err := st.readOnState(place, record(body, 1))
		if err != nil {
			return
		}
		first := st.appendOnState(nil, s)
		if s, err = st.readOnState(place, first); err != nil || !bytes.Equal(first, st.appendOnState(nil, s)) {
			t.Errorf("%x is read as something else again: %v", body, err)
		}
	})
}

// What is taken of a grant can be ended.
func FuzzReadGrant(f *testing.F) {
	st := sampled(f)
	for _, g := range sampleGrants(f, st) {
		f.Add(g.place.Hi, g.place.Lo, bodyOf(f, g.append(nil)))
	}
	f.Fuzz(func(t *testing.T, hi, lo uint64, body []byte) {
		place := windows.Key{Hi: hi, Lo: lo}
		g, err := st.readGrant(place, record(body, grantVersion))
		if err != nil {
			return
		}
		first := g.append(nil)
		if g, err = st.readGrant(place, first); err != nil || !bytes.Equal(first, g.append(nil)) {
			t.Fatalf("%x is read as something else again: %v", body, err)
		}
		u := newUnit(st, windows.NewUnit(&st.plan.Layout, 0))
		u.restore(g)
		if at, ok := u.NextEnd(); ok {
			u.End(at)
			for i := range u.decisions {
				u.decisions[i].AppendJSON(nil)
			}
		}
	})
}

func FuzzReadStanding(f *testing.F) {
	p := codecRules(f)
	f.Add(bodyOf(f, sampleStanding(p).Append(nil)))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ReadStanding(record(body, 1), p)
		if err != nil {
			return
		}
		first := s.Append(nil)
		if s, err = ReadStanding(first, p); err != nil || !bytes.Equal(first, s.Append(nil)) {
			t.Errorf("%x is read as something else again: %v", body, err)
		}
	})
}
