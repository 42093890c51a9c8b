package testkit

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"time"
)

func TestALogIsAFunctionOfItsOptions(t *testing.T) {
	for _, format := range []string{NginxJSON, Combined} {
		opt := LogOptions{Seed: 7, Lines: 20_000, Format: format, Attacks: Attacks}
		var a, b bytes.Buffer
		truth, err := WriteLog(&a, opt)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := WriteLog(&b, opt); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: two logs of the same options differ", format)
		}
		if n := bytes.Count(a.Bytes(), []byte("\n")); n != opt.Lines {
			t.Errorf("%s: %d lines, want %d", format, n, opt.Lines)
		}
		opt.Seed++
		b.Reset()
		if _, err := WriteLog(&b, opt); err != nil {
			t.Fatal(err)
		}
		if bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: another seed gives the same log", format)
		}
		t.Logf("%s: %d bytes a line, %d addresses", format, a.Len()/truth.Lines, truth.Addresses)
	}
}

func TestTheTruthNamesEveryLineOfAnAttack(t *testing.T) {
	var log bytes.Buffer
	truth, err := WriteLog(&log, LogOptions{Seed: 1, Lines: 60_000, Density: 20, Format: Combined, Attacks: Attacks})
	if err != nil {
		t.Fatal(err)
	}
	if len(truth.Attacks) != len(Attacks) {
		t.Fatalf("%d attacks, want %d", len(truth.Attacks), len(Attacks))
	}
	lines := bytes.Split(log.Bytes(), []byte("\n"))
	for _, a := range truth.Attacks {
		found := 0
		from := map[string]bool{}
		for _, ip := range a.Addresses {
			from[ip] = true
		}
		for _, line := range lines {
			ip, _, _ := bytes.Cut(line, []byte(" "))
			if from[string(ip)] {
				found++
			}
		}
		if found != a.Lines || a.Lines == 0 {
			t.Errorf("%s: %d lines from its addresses, the truth says %d", a.Name, found, a.Lines)
		}
		if a.Last.Sub(a.First) < 9*time.Minute {
			t.Errorf("%s lasts from %v to %v, want at least nine minutes", a.Name, a.First, a.Last)
		}
	}
}

func TestUnknownOptionsOfALogAreErrors(t *testing.T) {
	for _, opt := range []LogOptions{{Lines: 1, Format: "xml"}, {Lines: 1, Attacks: []string{"ddos"}}} {
		if _, err := WriteLog(io.Discard, opt); err == nil {
			t.Errorf("%+v: no error", opt)
		}
	}
}

func BenchmarkWriteLog(b *testing.B) {
	for _, format := range []string{NginxJSON, Combined} {
		b.Run(format, func(b *testing.B) {
			for b.Loop() {
				truth, err := WriteLog(io.Discard, LogOptions{Seed: 1, Lines: 100_000, Format: format, Density: 1000})
				if err != nil || truth.Addresses == 0 {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(b.N)*100_000/b.Elapsed().Seconds(), "lines/s")
		})
	}
}

func TestGuestsAreAmongTheHonestAndAttacksMayLastToTheEnd(t *testing.T) {
	var b bytes.Buffer
	truth, err := WriteLog(&b, LogOptions{Lines: 40_000, Density: 10, Attacks: Attacks, ToEnd: true, Guests: true})
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), `"remote_addr":"`+OfficeAddress+`"`); n < 900 || n > 1100 {
		t.Errorf("%d requests of the office, want about a fortieth", n)
	}
	if n := strings.Count(b.String(), CrawlerName+"/1.0"); n < 900 || n > 1100 {
		t.Errorf("%d requests of the crawler, want about a fortieth", n)
	}
	for _, a := range truth.Attacks {
		if left := truth.Last.Sub(a.Last); left < 0 || left > truth.Last.Sub(a.First)/10 {
			t.Errorf("%s ends %v before the log does", a.Name, left)
		}
	}
}
