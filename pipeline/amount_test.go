package pipeline

import (
	"testing"

	"weir/ingest"
)

func TestHowMuchIsMissingIsSaidOnlyWhereOffsetsTell(t *testing.T) {
	for _, c := range []struct {
		gap   ingest.Gap
		topic bool
		want  string
	}{
		{ingest.Gap{From: 10, To: 30, Why: ingest.GapDeleted}, true, "20 records"},
		{ingest.Gap{From: 10, To: 30, Why: "a file that was read before is gone or shorter"}, false, "20 bytes"},
		{ingest.Gap{From: 10, To: 10, Why: "passed over"}, false, "nobody knows how much"},
		{ingest.Gap{From: 10, To: 11, Why: ingest.GapGone}, false, "nobody knows how much"},
	} {
		if got := amount(c.gap, c.topic); got != c.want {
			t.Errorf("%+v: %s, must be %s", c.gap, got, c.want)
		}
	}
}
