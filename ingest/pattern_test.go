package ingest

import (
	"bytes"
	"strings"
	"testing"

	"weir/event"
)

// TestPatternFaultsArePointedAt compares the messages for every line of
// testdata/pattern/faults.txt with faults.golden.
func TestPatternFaultsArePointedAt(t *testing.T) {
	var got bytes.Buffer
	patterns := readLines(t, "testdata/pattern/faults.txt")
	for _, text := range patterns {
		_, err := New(Config{Format: "pattern", Pattern: string(text)})
		if err == nil {
			t.Errorf("%s: no fault was found", text)
			continue
		}
		got.WriteString(err.Error())
		got.WriteString("\n\n")
	}
	compareGolden(t, "testdata/pattern/faults.golden", got.Bytes())

	_, err := New(Config{Pattern: strings.Repeat("a", maxPattern+1)})
	if want := "pattern: 1025 bytes, must be at most 1024"; err == nil || err.Error() != want {
		t.Errorf("got %v, want %s", err, want)
	}
}

func TestEveryFieldOfAnEventThatALogGivesFitsAPattern(t *testing.T) {
	fields := 0
	for f := event.FieldTime; f < event.FieldX0; f++ {
		_, err := slotFor(f.String(), Config{})
		made := false
		switch f {
		case event.FieldNet, event.FieldEndpoint, event.FieldKind, event.FieldDeprecated, event.FieldItem, event.FieldAgentFamily,
			event.FieldAgentOS, event.FieldAgentKind, event.FieldCredentialDomain, event.FieldActor, event.FieldCrawler:
			made = true
		default:
			fields++
		}
		if (err != nil) != made {
			t.Errorf("%s: %v", f, err)
		}
	}
	if fields < 20 {
		t.Errorf("only %d fields were tried", fields)
	}
}
