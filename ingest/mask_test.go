package ingest

import (
	"strings"
	"testing"
)

func TestAMaskedLineShowsItsShapeAndNoneOfItsWords(t *testing.T) {
	line := `192.0.2.7 - Anna [06/Mar/2026:10:00:00 +0000] "GET /reset?token=s3cret HTTP/1.1` + "\x1b[2J\xffü"
	want := `000.0.0.0 - Aaaa [00/Aaa/0000:00:00:00 +0000] "AAA /aaaaa?aaaaa=a0aaaa AAAA/0.0.[0A..`
	if got := Mask([]byte(line), 200); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if got := Mask([]byte(strings.Repeat("x", 300)), 200); got != strings.Repeat("a", 200)+"…" {
		t.Errorf("%s", got)
	}
}
