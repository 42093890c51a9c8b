package testkit_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"weir/ingest"
	"weir/internal/testkit"
)

func TestACrowdIsWhatItsTruthSays(t *testing.T) {
	opt := testkit.CrowdOptions{Seed: 3, Minutes: 2, PerMinute: 3000, Attackers: 40, Threshold: 20, Within: time.Minute, Forgetful: 30, Calm: 1}
	var log bytes.Buffer
	truth, err := testkit.WriteCrowd(&log, opt)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "\n"); n != truth.Lines {
		t.Errorf("%d lines, the truth says %d", n, truth.Lines)
	}
	failed, seen := map[string]int{}, map[string]int{}
	for line := range strings.Lines(log.String()) {
		address, _, _ := strings.Cut(line, " ")
		seen[address]++
		if strings.Contains(line, "POST /login") && strings.Contains(line, `" 401 `) {
			failed[address]++
		}
	}
	if len(truth.Near) != 40 || len(truth.Far) != 40 {
		t.Fatalf("%d near and %d far attackers, want 40 of each", len(truth.Near), len(truth.Far))
	}
	for address, n := range failed {
		least, most := 0, 6
		if truth.Near[address] {
			least, most = 20, 39
		} else if truth.Far[address] {
			least, most = 40, 80
		}
		if n < least || n > most {
			t.Errorf("%s fails %d times, want %d to %d", address, n, least, most)
		}
	}
	strangers := 0
	for address, n := range seen {
		if strings.HasPrefix(address, "2001:db8:") {
			strangers++
			if n != 1 {
				t.Fatalf("stranger %s comes %d times", address, n)
			}
		}
	}
	if strangers != 6000 {
		t.Errorf("%d strangers, want 6000", strangers)
	}
}

func TestACrowdMayComeAgain(t *testing.T) {
	var log bytes.Buffer
	if _, err := testkit.WriteCrowd(&log, testkit.CrowdOptions{Seed: 3, Minutes: 2, PerMinute: 3000, Again: 10 * time.Second}); err != nil {
		t.Fatal(err)
	}
	came, line := map[string][]int{}, 0
	for text := range strings.Lines(log.String()) {
		address, _, _ := strings.Cut(text, " ")
		came[address] = append(came[address], line)
		line++
	}
	// Of 50 requests a second 25 are of a new address; the first ten seconds' others are
	// of nobody who came before, and who came in the last ten seconds cannot come again.
	times := map[int]int{}
	for address, lines := range came {
		if times[len(lines)]++; len(lines) == 2 && lines[1]-lines[0] != 501 {
			t.Fatalf("%s comes again after %d requests, want 501", address, lines[1]-lines[0])
		}
	}
	if line != 6000 || times[1] != 500 || times[2] != 2750 || len(times) != 2 {
		t.Errorf("%d requests; of so many requests come so many addresses: %v; want 6000, 500 once and 2750 twice", line, times)
	}
}

func TestAGeneratedSourceHandsOutEveryLineOnce(t *testing.T) {
	lines := []string{"a", strings.Repeat("b", 700), "", "last"}
	src := testkit.Generate("made", func(w io.Writer) error {
		for _, piece := range []string{"a\n" + lines[1][:300], lines[1][300:] + "\n\nla", "st\n"} {
			if _, err := io.WriteString(w, piece); err != nil {
				return err
			}
		}
		return nil
	})
	defer src.Close()
	var r ingest.Records
	var got []string
	for {
		r.Reset()
		err := src.Read(t.Context(), 0, 2, &r)
		for i := range r.Len() {
			got = append(got, string(r.Line(i)))
		}
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if strings.Join(got, "|") != strings.Join(lines, "|") {
		t.Errorf("lines %q, want %q", got, lines)
	}
}

func TestAGeneratedSourceEndsWithItsWritersError(t *testing.T) {
	broken := errors.New("broken")
	src := testkit.Generate("made", func(io.Writer) error { return broken })
	defer src.Close()
	var r ingest.Records
	if err := src.Read(context.Background(), 0, 1, &r); !errors.Is(err, broken) {
		t.Errorf("error %v, want the writer's", err)
	}
}

func TestClosingAGeneratedSourceEndsItsWriter(t *testing.T) {
	src := testkit.Generate("made", func(w io.Writer) error {
		for {
			if _, err := io.WriteString(w, "line\n"); err != nil {
				return err
			}
		}
	})
	if err := src.Close(); err != nil {
		t.Fatal(err)
	}
}
