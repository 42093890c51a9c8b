package event

import (
	"bytes"
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// drawDecision makes any decision that can be written: whatever an attacker
// wrote is in its strings.
func drawDecision(t *rapid.T) Decision {
	text := rapid.OneOf(
		rapid.String(),
		rapid.SampledFrom([]string{"", "203.0.113.7", "\xff", "\xe2\x82", "\ufffd", "\ufffd0a", "a\u202eb", "\\u0041", `"},"x":"`, "\x00\x1f\x7f<>&", "\u2028", "😀"}),
		rapid.Map(rapid.SliceOfN(rapid.Byte(), 0, 20), func(b []byte) string { return string(b) }),
	)
	target := rapid.Map(rapid.SliceOfN(rapid.Custom(func(t *rapid.T) Value {
		return Value{text.Draw(t, "field"), text.Draw(t, "text")}
	}), 0, 4), func(v []Value) Target { return v })
	number := rapid.OneOf(rapid.Float64(), rapid.Float64Range(0, 1), rapid.SampledFrom([]float64{0, math.Copysign(0, -1), math.NaN(), math.Inf(1), 1e17, 1 << 62, 0.00005, -0.00004}))
	at := rapid.Map(rapid.Int64Range(-1<<33, 1<<37), func(s int64) time.Time { return time.Unix(s, 0).UTC() })
	d := Decision{
		Step: Step(rapid.IntRange(0, int(numSteps)-1).Draw(t, "step")), ID: text.Draw(t, "id"), Renews: text.Draw(t, "renews"),
		Time: at.Draw(t, "time"), Until: at.Draw(t, "until"),
		Mode: Stage(rapid.IntRange(0, int(numStages)-1).Draw(t, "mode")), Would: Action(rapid.IntRange(0, int(NumActions)-1).Draw(t, "would")),
		To: text.Draw(t, "to"), Target: target.Draw(t, "target"), Except: text.Draw(t, "except"), Key: target.Draw(t, "key"),
		Rule: text.Draw(t, "rule"), Version: rapid.Int().Draw(t, "version"), Severity: Severity(rapid.IntRange(0, int(numSeverities)-1).Draw(t, "severity")),
	}
	if d.Step == End {
		return d
	}
	d.Good, d.Tried, d.Clean = number.Draw(t, "good"), number.Draw(t, "tried"), rapid.Bool().Draw(t, "clean")
	if d.Regulars = d.Good; rapid.Bool().Draw(t, "others") {
		d.Regulars = number.Draw(t, "regulars")
	}
	if rapid.Bool().Draw(t, "gap") {
		d.Incomplete = at.Draw(t, "incomplete")
	}
	for range rapid.IntRange(0, 3).Draw(t, "n") {
		d.Evidence = append(d.Evidence, Measure{text.Draw(t, "name"), number.Draw(t, "value")})
		d.Sources = append(d.Sources, Span{text.Draw(t, "source"), rapid.Int32().Draw(t, "partition"), rapid.Int64().Draw(t, "first"), rapid.Int64().Draw(t, "last")})
	}
	return d
}

func TestADecisionIsReadBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := drawDecision(t)
		line := d.AppendJSON(nil)
		got, err := ReadDecision(line)
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if again := got.AppendJSON(nil); !bytes.Equal(again, line) {
			t.Fatalf("wrote %s\n then %s", line, again)
		}
		// Numbers are rounded when they are written; everything else is the same.
		d.Good, d.Tried, got.Good, got.Tried = 0, 0, 0, 0
		d.Regulars, got.Regulars = 0, 0
		for i := range d.Evidence {
			d.Evidence[i].Value, got.Evidence[i].Value = 0, 0
		}
		if len(d.Target) == 0 {
			d.Target = nil
		}
		if len(d.Key) == 0 {
			d.Key = nil
		}
		if !reflect.DeepEqual(d, got) {
			t.Fatalf("wrote %+v\nread %+v", d, got)
		}
	})
}

func TestWhatIsNoDecisionIsRefused(t *testing.T) {
	d := Decision{
		Step: New, ID: "a", Time: time.Unix(10, 0), Until: time.Unix(20, 0), Mode: Enforce, Would: Block,
		Target: Target{{"ip", "192.0.2.7"}}, Rule: "r", Version: 1, Evidence: []Measure{{"n", 0.5}},
		Sources: []Span{{"s", 1, 2, 3}}, Incomplete: time.Unix(30, 0),
	}
	good := string(d.AppendJSON(nil))
	if _, err := ReadDecision([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for i := range good {
		if _, err := ReadDecision([]byte(good[:i])); err == nil {
			t.Errorf("cut to %d bytes it is read: %s", i, good[:i])
		}
	}
	for _, c := range [][2]string{
		{`"v":1`, `"v":2`}, {`"v":1`, `"v": 1`}, {`"new"`, `"held"`}, {`"new"`, `"end"`}, {`"enforce"`, `"late"`},
		{`"action":"block"`, `"action":"none"`}, {`"would":"block"`, `"would":"kill"`}, {`"time":"1970-01-01T00:00:10Z"`, `"time":"10"`},
		{`00:00:10Z`, `01:00:10+01:00`}, {`"n":0.5`, `"n":0.50`}, {`"n":0.5`, `"n":5e-1`}, {`"n":0.5`, `"n":0.00001`},
		{`"incomplete":"1970-01-01T00:00:30Z"`, `"incomplete":""`}, {`"incomplete":"1970-01-01T00:00:30Z"`, `"incomplete":"0001-01-01T00:00:00Z"`},
		{`"partition":1`, `"partition":4294967297`}, {`"severity":"info"`, `"severity":"awful"`}, {`"clean":false`, `"clean":0`},
		{`"ip":"192`, `"ip":"\u0031\u0039\u0032`}, {`}]}`, `}]}}`}, {`}]}`, `}],"by":"x"}`}, {`"id":"a"`, `"id":"\ufffd41"`}, {`"id":"a"`, `"id":"\x"`},
	} {
		bad := strings.Replace(good, c[0], c[1], 1)
		if bad == good {
			t.Fatalf("%s is not in the line", c[0])
		}
		if _, err := ReadDecision([]byte(bad)); err == nil {
			t.Errorf("it is read: %s", bad)
		}
	}
}

func TestALineMaySayMoreOfADecision(t *testing.T) {
	d := Decision{Step: New, ID: "a", Time: time.Unix(10, 0).UTC(), Until: time.Unix(20, 0).UTC(), Mode: Enforce, Would: Block, Rule: "r"}
	w := Words{Event: "held", Mode: "late", Action: "none"}
	for _, evidence := range []bool{true, false} {
		line := append(d.AppendOpen(nil, w, evidence), `,"reason":"x"}`...)
		got, words, rest, err := ReadDecisionOpen(line)
		if err != nil || words != w || string(rest) != `,"reason":"x"}` || !reflect.DeepEqual(got, d) {
			t.Errorf("evidence %v: %+v %+v %q %v", evidence, got, words, rest, err)
		}
	}
}

func TestOnlyADecisionThatRestsOnAGapSaysSo(t *testing.T) {
	d := Decision{Step: New, Time: time.Unix(10, 0), Until: time.Unix(20, 0)}
	if line := string(d.AppendJSON(nil)); strings.Contains(line, "incomplete") {
		t.Errorf("a whole one says %s", line)
	}
	d.Incomplete = time.Unix(3600, 0)
	if line := string(d.AppendJSON(nil)); !strings.Contains(line, `,"severity":"info","incomplete":"1970-01-01T01:00:00Z","evidence":{`) {
		t.Errorf("one that is not whole says %s", line)
	}
	d.Step = End
	if line := string(d.AppendJSON(nil)); strings.Contains(line, "incomplete") {
		t.Errorf("an end says %s", line)
	}
}

func FuzzReadDecision(f *testing.F) {
	d := Decision{
		Step: Renew, ID: "a", Renews: "b", Time: time.Unix(10, 0), Until: time.Unix(20, 0), Mode: AlertOnly, Would: Limit, To: "10/1m",
		Target: Target{{"ip", "192.0.2.7"}, {"agent", "x\xff\u202e"}}, Except: "known(ip)", Key: Target{{"ip", "192.0.2.7"}},
		Rule: "r", Version: 1, Evidence: []Measure{{"n", 0.5}, {"nan", math.NaN()}}, Good: 1, Tried: 2, Clean: true,
		Sources: []Span{{"s", 1, 2, 3}, {"s", 2, -1, 1 << 60}},
	}
	f.Add(d.AppendJSON(nil))
	d.Incomplete = time.Unix(30, 0)
	f.Add(d.AppendJSON(nil))
	d.Step = End
	f.Add(d.AppendJSON(nil))
	f.Add([]byte(`{"v":1,"event":"\ufffd4`))
	f.Fuzz(func(t *testing.T, line []byte) {
		d, err := ReadDecision(line)
		if err == nil && !bytes.Equal(d.AppendJSON(nil), line) {
			t.Errorf("read %s\nwrote %s", line, d.AppendJSON(nil))
		}
		if _, _, _, err := ReadDecisionOpen(line); err != nil && d.ID != "" {
			t.Errorf("%v", err)
		}
	})
}
