package state

import (
	"encoding/hex"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files")

// goldenKeys are some keys whose bytes tell them apart.
func goldenKey(i int) Key {
	return Key{Hi: 0x0102030405060708 * uint64(i+1), Lo: 0x1112131415161718 * uint64(i+3)}
}

func goldenBlob() blob {
	return blob{spots: []spot{{segment: 7, number: 2, bytes: 35}, {segment: 8, bytes: 5}}, size: 5, tally: tally{records: 2, sum: 0xfeedface, bytes: 40}}
}

func goldenRoot() *root {
	return &root{
		id: "ID", format: Format, units: 2, keyID: "a key", generation: 7, previous: 5, tick: 1772787600,
		segments: []uint32{3, 7, 300}, blobs: map[string]blob{flipBlob: goldenBlob(), callerBlob("facts"): goldenBlob()},
		of: []unitRoot{
			{tally: tally{records: 3, sum: 0xabcdef, bytes: 900}, tables: map[uint16]tableRoot{9: {pages: 5, since: 3}, 2: {pages: 1, since: 1}}},
			{tables: map[uint16]tableRoot{}},
		},
	}
}

func TestTheBytesOnDiskStayAsTheyAre(t *testing.T) {
	b := goldenBlob()
	r := goldenRoot()
	change := AppendChange(AppendChange(AppendChange(nil, goldenKey(0), []byte("value")), goldenKey(1), []byte{}), goldenKey(2), nil)
	at := place{unit: 3, table: 513, page: 70000}
	delta := append(appendPageEntry(nil, kindDelta, at, 1, len(change)), change...)
	// Of the same entries a compressor may make other bytes on other machines; that
	// of this chunk does nothing but say how long they are.
	entries := appendPageEntry(nil, kindBase, place{unit: 3, table: 2, page: 1}, 0, 0)
	entries = appendBlobEntry(append(entries, delta...), []byte("a blob"))
	chunk := packChunk(0x01020304, 0x0506, entries, new([]byte))

	var out strings.Builder
	for _, part := range []struct {
		name string
		b    []byte
	}{
		{"chunk key", appendChunkKey(nil, 0x01020304, 0x0506)},
		{"root key", appendChunkKey(nil, 0x01020304, rootNumber)},
		{"chunk", chunk},
		{"root", r.encode()},
		{"flip", encodeFlip(Flip{Tick: 1772787600, Units: [][]byte{[]byte("u0"), nil}, Meta: []byte("meta")})},
	} {
		fmt.Fprintf(&out, "%s\n%s", part.name, hex.Dump(part.b))
	}
	for i := range 4 {
		h := hash(goldenKey(i))
		fmt.Fprintf(&out, "key %d: print %04x, page of 1 %d, of 5 %d, of 1000 %d\n", i, printOf(h), pageOf(h, 1), pageOf(h, 5), pageOf(h, 1000))
	}
	var sum tally
	sum.add(b.spots[0], delta)
	fmt.Fprintf(&out, "sum %016x of %d bytes\n", sum.sum, sum.bytes)
	dir := t.TempDir()
	if err := (sidecar{ID: "ID", Format: Format, Units: 4, KeyID: "a key", Generation: 7, Tick: 1772787600}).write(dir); err != nil {
		t.Fatal(err)
	}
	side, err := os.ReadFile(filepath.Join(dir, sidecarFile))
	if err != nil {
		t.Fatal(err)
	}
	out.Write(side)

	golden := filepath.Join("testdata", "records.golden")
	if *update {
		if err := os.WriteFile(golden, []byte(out.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got := out.String(); got != string(want) {
		t.Errorf("the bytes changed, which takes another format:\n%s\nwere\n%s", got, want)
	}
}

func TestWhatIsInForceIsReadBackAsItWasWritten(t *testing.T) {
	r := goldenRoot()
	f := Flip{Tick: 4, Units: [][]byte{[]byte("u0"), {}}, Meta: []byte("meta")}
	body := func(record []byte) []byte {
		b, _, err := ReadRecord(record, recordVersion)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	gotRoot, err := decodeRoot(body(r.encode()))
	if err != nil || fmt.Sprint(*gotRoot) != fmt.Sprint(*r) {
		t.Errorf("root %v, error %v, must be %v", gotRoot, err, r)
	}
	gotFlip, err := decodeFlip(encodeFlip(f))
	if err != nil || fmt.Sprint(gotFlip) != fmt.Sprint(f) {
		t.Errorf("flip %v, error %v, must be %v", gotFlip, err, f)
	}
	for name, try := range map[string]struct {
		body   []byte
		decode func([]byte) error
	}{
		"root": {body(r.encode()), func(b []byte) error { _, err := decodeRoot(b); return err }},
		"flip": {encodeFlip(f), func(b []byte) error { _, err := decodeFlip(b); return err }},
	} {
		for n := range try.body {
			if n == 0 && name == "root" {
				continue // a format and nothing else is that of another format
			}
			if err := try.decode(try.body[:n]); !errors.Is(err, ErrCorrupt) {
				t.Errorf("%s cut to %d bytes: error %v", name, n, err)
			}
		}
		if err := try.decode(append(try.body, 0)); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%s with a byte more: error %v", name, err)
		}
	}
}
