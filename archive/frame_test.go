package archive

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"

	"weir/event"
	"weir/state"
)

var update = flag.Bool("update", false, "rewrite the golden files")

// golden compares bytes with a file of hex digits.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got := hex.Dump(b)
	if *update {
		must(t, os.MkdirAll("testdata", 0o755))
		must(t, os.WriteFile(path, []byte(got), 0o644))
	}
	want, err := os.ReadFile(path)
	must(t, err)
	if got != string(want) {
		t.Errorf("%s: the bytes on disk have changed; a new format needs a new version:\n%s", name, got)
	}
}

func TestAFramesBytesStay(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	events := []event.Event{random(r, 5, start), random(r, 6, start+1), random(r, 9, start-1)}
	var e encoder
	b, h := e.encode(nil, head{Partition: 3, Max: start + 1}, events, []int64{start + 9, start + 9, start + 10})
	// Compression may change with its library: what is compressed may not.
	golden(t, "frame.hex", e.raw)
	var f frame
	_, body, err := readHead(b)
	must(t, err)
	must(t, f.decode(h, body))
	got, times, err := f.events()
	must(t, err)
	for i := range events {
		if got[i] != events[i] {
			t.Errorf("event %d: %+v, must be %+v", i, got[i], events[i])
		}
	}
	if len(times) != 3 || times[2] != start+10 {
		t.Errorf("append times %v", times)
	}
	golden(t, "heads.hex", bytes.Join([][]byte{
		(&head{Record: recordFrame, Partition: 3, Events: 2, First: 5, Last: 9, Max: start, Columns: 1<<40 | 3, Raw: 100, Body: 60}).append(nil),
		(&head{Record: recordVoid, Partition: 3, First: 5, Last: 1<<63 - 1}).append(nil),
		(&head{Record: recordGap, Partition: 3, First: 5, Last: 9}).append(nil),
	}, nil))
}

func TestTheBytesOfMarksStay(t *testing.T) {
	m := marks{
		parts:   map[Part]mark{{"edge", 2}: {synced: 9, done: 5, max: start}, {"cdn", 0}: {synced: 1}, {"edge", 1}: {synced: 3, done: 3, max: start + 1}},
		spools:  map[spoolName]int64{{"edge", name{start, 2}}: 700, {"cdn", name{start, 1}}: 5},
		reached: map[Part]int64{{"edge", 2}: 12, {"cdn", 0}: 1},
		logs:    map[string]string{"edge": "0123456789abcdef", "cdn": "fedcba"},
	}
	b := m.encode()
	golden(t, "positions.hex", b)
	got, err := decodeMarks(b)
	must(t, err)
	if len(got.parts) != 3 || got.parts[Part{"edge", 2}] != m.parts[Part{"edge", 2}] || got.spools[spoolName{"edge", name{start, 2}}] != 700 || !maps.Equal(got.reached, m.reached) || !maps.Equal(got.logs, m.logs) {
		t.Errorf("%+v", got)
	}
	// What older versions wrote does not say how far they came, or of which logs.
	for version, reached := range map[int]map[Part]int64{1: {}, 2: m.reached} {
		text, err := os.ReadFile(fmt.Sprintf("testdata/positions%d.hex", version))
		must(t, err)
		var older []byte
		for line := range strings.Lines(string(text)) {
			b, err := hex.DecodeString(strings.ReplaceAll(line[min(10, len(line)):min(58, len(line))], " ", ""))
			must(t, err)
			older = append(older, b...)
		}
		if got, err = decodeMarks(older); err != nil || !maps.Equal(got.parts, m.parts) || !maps.Equal(got.spools, m.spools) || !maps.Equal(got.reached, reached) || len(got.logs) > 0 {
			t.Errorf("version %d: %+v: %v", version, got, err)
		}
	}
	for i := range b {
		b[i] ^= 0x40
		if _, err := decodeMarks(b); err == nil {
			t.Errorf("byte %d flipped: no error", i)
		}
		b[i] ^= 0x40
	}
}

func TestAHeadIsShort(t *testing.T) {
	h := head{Record: recordVoid, Partition: maxPartition, First: -1 << 63, Last: 1<<63 - 1, Max: -1 << 63, Columns: 1<<len(columns) - 1, Raw: maxBody}
	if n := len(h.append(nil)); n > maxHead {
		t.Errorf("%d bytes, at most %d", n, maxHead)
	}
	if len(columns) >= 64 {
		t.Errorf("%d columns, a head tells 63", len(columns))
	}
}

func TestEveryByteOfAFrameIsChecked(t *testing.T) {
	var e encoder
	b, _ := e.encode(nil, head{Partition: 3, Max: start}, simple(0, start, 20), nil)
	for i := range b {
		b[i] ^= 0x10
		h, body, err := readHead(b)
		if err == nil {
			var f frame
			err = f.decode(h, body)
		}
		if err == nil {
			t.Errorf("byte %d of %d: no error", i, len(b))
		}
		b[i] ^= 0x10
	}
}

func FuzzFrame(f *testing.F) {
	r := rand.New(rand.NewPCG(1, 1))
	var e encoder
	for n := range 4 {
		var events []event.Event
		for i := range n*n*n + 1 {
			events = append(events, random(r, int64(i), start))
		}
		_, h := e.encode(nil, head{Max: start}, events, nil)
		f.Add(e.raw, h.Columns, uint16(h.Events), h.First, h.Last)
	}
	f.Fuzz(func(t *testing.T, raw []byte, mask uint64, n uint16, first, last int64) {
		if len(raw) > maxBody {
			return
		}
		h := head{Record: recordFrame, Events: int(n)%frameEvents + 1, First: first, Last: last, Columns: mask & (1<<len(columns) - 1), Raw: len(raw)}
		var fr frame
		if fr.decode(h, wrapped(raw)) != nil {
			return
		}
		// What can be decoded says the same when it is encoded again.
		events, appended, err := fr.events()
		if err != nil {
			return
		}
		var e encoder
		b, again := e.encode(nil, head{Max: h.Max}, events, appended)
		_, body, err := readHead(b)
		if err != nil {
			return // offsets that fall, which Add refuses
		}
		var second frame
		must(t, second.decode(again, body))
		twice, times, err := second.events()
		must(t, err)
		for i := range events {
			if twice[i] != events[i] || len(times) > 0 && times[i] != appended[i] {
				t.Fatalf("event %d: %+v, must be %+v", i, twice[i], events[i])
			}
		}
	})
}

func FuzzHead(f *testing.F) {
	f.Add((&head{Record: recordFrame, Partition: 3, Events: 2, First: 5, Last: 9, Max: start, Columns: 3, Raw: 100, Body: 60}).append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		h, _, err := readHead(b)
		if err != nil {
			return
		}
		again, _, err := readHead(h.append(nil))
		if err != nil || again != h {
			t.Errorf("%+v, then %+v, %v", h, again, err)
		}
	})
}

// wrapped returns a body's record.
func wrapped(raw []byte) []byte {
	b, start := state.BeginRecord(nil)
	b = append(b, s2.Encode(nil, raw)...)
	state.EndRecord(b, start, frameVersion)
	return b
}
