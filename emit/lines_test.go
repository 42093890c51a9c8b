package emit_test

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"weir/emit"
	"weir/event"
)

func TestADecisionIsALineOfJSON(t *testing.T) {
	var b strings.Builder
	l := emit.NewLines(&b)
	d := event.Decision{
		Step: event.New, ID: "a", Time: time.Unix(10, 0), Until: time.Unix(20, 0), Mode: event.Enforce, Would: event.Block,
		Target: event.Target{{Field: "agent", Text: "x\"\n\u202ey"}}, Rule: "r", Version: 1,
	}
	if err := l.Write([]event.Decision{d, d}); err != nil {
		t.Fatal(err)
	}
	if err := l.Flush(); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(b.String(), "\n")
	if len(lines) != 3 || lines[0] != lines[1] || lines[2] != "" || strings.Contains(lines[0], "\u202e") {
		t.Fatalf("%q", lines)
	}
	var got struct{ Target map[string]string }
	if err := json.Unmarshal([]byte(lines[0]), &got); err != nil || got.Target["agent"] != "x\"\n\u202ey" {
		t.Errorf("%q, %v", got, err)
	}
}

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestAFullDiskIsAnError(t *testing.T) {
	l := emit.NewLines(full{})
	err := errors.Join(l.Write(make([]event.Decision, 100)), l.Flush())
	if err == nil || !strings.Contains(err.Error(), "decisions: no space left") {
		t.Errorf("error %v", err)
	}
}
