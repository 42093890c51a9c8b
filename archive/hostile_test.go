package archive

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/apache/arrow/go/v17/arrow/memory"
	"github.com/apache/arrow/go/v17/parquet"
	"github.com/apache/arrow/go/v17/parquet/file"
	"github.com/apache/arrow/go/v17/parquet/schema"

	"weir/event"
	"weir/ingest"
)

// sample writes a small file and returns its bytes.
func sample(t testing.TB) []byte {
	dir := t.TempDir()
	a, err := Open(config(dir, "edge"))
	must(t, err)
	must(t, a.Resume(t.Context(), nil))
	r := rand.New(rand.NewPCG(7, 7))
	var events []event.Event
	for i := range 300 {
		events = append(events, random(r, int64(i), start+int64(i)))
	}
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, events, nil))
	must(t, a.Add(t.Context(), Part{"edge", 1}, 0, simple(0, start, 300), nil))
	must(t, a.Finish(t.Context()))
	must(t, a.Close())
	b, err := os.ReadFile(parquets(t, dir)[0])
	must(t, err)
	return b
}

// play reads all that can be read of a file; it returns how many events and
// whether anything was wrong. Errors must name the file.
func play(t testing.TB, path string) (all []event.Event, faulty bool) {
	t.Helper()
	sources, err := OpenFiles([]string{path}, ReadConfig{Extras: config("").Extras})
	if err != nil {
		if !strings.Contains(err.Error(), path) {
			t.Errorf("%v: does not name the file", err)
		}
		return nil, true
	}
	for _, s := range sources {
		for p := range s.Partitions() {
			for {
				var b event.Batch
				_, err := s.ReadEvents(t.Context(), p, 100, &b, nil)
				all = append(all, b.Events...)
				if errors.Is(err, io.EOF) {
					break
				}
				if bad := (*ingest.ErrSource)(nil); errors.As(err, &bad) {
					faulty = true
					if bad.File != path || len(b.Events) > 0 {
						t.Errorf("%v: with %d events, of file %s", err, len(b.Events), bad.File)
					}
				} else if err != nil {
					t.Fatal(err)
				}
			}
		}
		must(t, s.Close())
	}
	return all, faulty
}

func TestAFileThatIsCutAnywhereIsAnError(t *testing.T) {
	whole := sample(t)
	path := filepath.Join(t.TempDir(), "2026-03-06T04-0001.parquet")
	for n := 0; n < len(whole); n += 1 + n/40 {
		must(t, os.WriteFile(path, whole[:n], 0o600))
		if _, faulty := play(t, path); !faulty {
			t.Errorf("%d of %d bytes: no error", n, len(whole))
		}
	}
	must(t, os.WriteFile(path, whole, 0o600))
	if n, faulty := play(t, path); faulty || len(n) != 600 {
		t.Errorf("the whole file: %d events, faulty %v", len(n), faulty)
	}
}

func TestDamagedFilesNeitherPanicNorTakeMemory(t *testing.T) {
	whole := sample(t)
	dir := t.TempDir()
	r := rand.New(rand.NewPCG(11, 3))
	footer := len(whole) - 8 - int(binary.LittleEndian.Uint32(whole[len(whole)-8:]))
	said := 0
	must(t, os.WriteFile(filepath.Join(dir, "x.parquet"), whole, 0o600))
	want, _ := play(t, filepath.Join(dir, "x.parquet"))
	for i := range 600 {
		b := append([]byte(nil), whole...)
		for range 1 + r.IntN(3) {
			at := r.IntN(len(b))
			if i%2 == 0 {
				at = footer + r.IntN(len(b)-footer)
			}
			switch r.IntN(4) {
			case 0:
				b[at] ^= 1 << r.IntN(8)
			case 1:
				b[at] = 0xff
			case 2: // a number that goes on
				for j := at; j < min(len(b), at+1+r.IntN(9)); j++ {
					b[j] = 0xff
				}
			case 3:
				copy(b[at:], b[r.IntN(len(b)):])
			}
		}
		if i%4 == 0 { // as if it were written so
			copy(b[footer-footerSum:], appendFooterSum(nil, b[footer:len(b)-footerTail]))
		}
		path := filepath.Join(dir, "x.parquet")
		must(t, os.WriteFile(path, b, 0o600))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if got, faulty := play(t, path); faulty {
			said++
		} else if len(got) != 600 || i%4 > 0 && !slices.Equal(got, want) {
			t.Errorf("case %d: %d events, wrong ones, and nothing was said", i, len(got))
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 256<<20 {
			t.Errorf("case %d took %d MiB", i, took>>20)
		}
	}
	if said < 300 {
		t.Errorf("%d of 600 damaged files were errors", said)
	}
}

func TestAFootersClaimsAreNotBelieved(t *testing.T) {
	dir := t.TempDir()
	for name, b := range map[string][]byte{
		"list of many":      {0x15, 0x02, 0x19, 0xfc, 0xff, 0xff, 0xff, 0x7f},
		"text of many":      {0x18, 0xff, 0xff, 0xff, 0xff, 0x07},
		"deep":              []byte(strings.Repeat("\x1c", 5000)),
		"lists in lists":    []byte(strings.Repeat("\x19\xf9\x7f", 5000)),
		"map of many":       {0x1b, 0xff, 0xff, 0xff, 0xff, 0x07, 0x88},
		"a list of nothing": append([]byte{0x29, 0xfc, 0xa0, 0x8d, 0x06}, make([]byte, 100_000)...),
		"empty":             {},
	} {
		path := filepath.Join(dir, "x.parquet")
		all := append(appendFooterSum([]byte(magic), b), b...)
		all = binary.LittleEndian.AppendUint32(all, uint32(len(b)))
		must(t, os.WriteFile(path, append(all, magic...), 0o600))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		if _, faulty := play(t, path); !faulty {
			t.Errorf("%s: no error", name)
		}
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 4<<20 {
			t.Errorf("%s: took %d bytes", name, took)
		}
	}
}

func TestMetadataAreNotDeepAndNotMostlyNothing(t *testing.T) {
	deep := func(n int) []byte {
		return append(bytes.Repeat([]byte{0x1c}, n), make([]byte, n+1)...)
	}
	nothing := append([]byte{0x29, 0xfc, 0xa0, 0x8d, 0x06}, make([]byte, 100_001)...) // 100,000 empty structs
	for name, tt := range map[string]struct {
		b  []byte
		ok bool
	}{
		"as deep as may be": {deep(maxThriftDepth), true}, "deeper": {deep(maxThriftDepth + 1), false}, "very deep": {deep(1 << 20), false},
		"a list of nothing": {nothing, false}, "of a little less": {append([]byte{0x29, 0xfc, 0xa0, 0x1f}, make([]byte, 4001)...), true},
	} {
		if err := checkFooter(tt.b); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPagesClaimsAreNotBelieved(t *testing.T) {
	header := func(kind, raw, stored, values int64) []byte {
		b := binary.AppendVarint([]byte{0x15}, kind)
		b = binary.AppendVarint(append(b, 0x15), raw)
		b = binary.AppendVarint(append(b, 0x15), stored)
		b = binary.AppendVarint(append(b, 0x2c, 0x15), values)
		return append(b, 0, 0)
	}
	for name, tt := range map[string]struct {
		b  []byte
		ok bool
	}{
		"data": {header(0, 400, 50, 100), true}, "the largest": {header(0, maxPage, 50, 100), true}, "a dictionary": {header(2, 400, 50, 400), true},
		"too large": {header(0, maxPage+1, 50, 100), false}, "less than nothing": {header(0, -1, 50, 100), false},
		"more than there is": {header(0, 400, 101, 100), false}, "stored less than nothing": {header(0, 400, -1, 100), false},
		"more values than rows": {header(0, 400, 50, 101), false}, "less values than none": {header(0, 400, 50, -1), false},
		"more entries than bytes": {header(2, 400, 50, 401), false}, "another kind": {header(3, 400, 50, 100), false}, "cut": {header(0, 400, 50, 100)[:6], false},
	} {
		s := newPageStream(bytes.NewReader(append(tt.b, make([]byte, 100)...)), 0, 100, 100)
		if name == "cut" {
			s = newPageStream(bytes.NewReader(tt.b), 0, 100, 100)
		}
		if _, err := s.Peek(1024); (err == nil || errors.Is(err, io.EOF)) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAPagesEncodingIsNotBelieved(t *testing.T) {
	delta := func(block, minis, total uint64) []byte {
		return binary.AppendUvarint(binary.AppendUvarint(binary.AppendUvarint(nil, block), minis), total)
	}
	e := parquet.Encodings
	for name, tt := range map[string]struct {
		enc parquet.Encoding
		b   []byte
		ok  bool
	}{
		"plain": {e.Plain, nil, true}, "numbers": {e.RLEDict, []byte{4}, true}, "of no bits": {e.RLEDict, []byte{0}, true},
		"of too many bits": {e.RLEDict, []byte{6}, false}, "of very many bits": {e.RLEDict, []byte{63}, false},
		"differences": {e.DeltaBinaryPacked, delta(128, 4, 100), true}, "in no blocks": {e.DeltaBinaryPacked, delta(0, 4, 100), false},
		"in huge blocks": {e.DeltaBinaryPacked, delta(1<<40, 4, 100), false}, "in no parts": {e.DeltaBinaryPacked, delta(128, 0, 100), false},
		"in odd parts": {e.DeltaBinaryPacked, delta(128, 3, 100), false}, "of too many": {e.DeltaBinaryPacked, delta(128, 4, 101), false},
		"cut": {e.DeltaBinaryPacked, []byte{0x80}, false}, "another": {e.DeltaByteArray, nil, false},
	} {
		page := file.NewDataPageV1(memory.NewBufferBytes(tt.b), 100, tt.enc, e.RLE, e.RLE, int32(len(tt.b)))
		p := checkedPages{entries: 20}
		if err := p.check(page); (err == nil) != tt.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAForeignFileIsPassedOver(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	f, err := os.Create(filepath.Join(dir, "edge", "foreign.parquet"))
	must(t, err)
	root, err := schema.NewGroupNode("x", parquet.Repetitions.Required, schema.FieldList{schema.NewInt64Node("time", parquet.Repetitions.Required, -1)}, -1)
	must(t, err)
	w := file.NewParquetWriter(f, root)
	must(t, w.Close())
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	var b event.Batch
	_, err = sources[0].ReadEvents(t.Context(), 0, 100, &b, nil)
	var bad *ingest.ErrSource
	if !errors.As(err, &bad) || !strings.Contains(bad.Error(), "foreign.parquet") || !errors.Is(err, errNoArchive) {
		t.Errorf("%v, must name the foreign file", err)
	}
	if _, err = sources[0].ReadEvents(t.Context(), 0, 100, &b, nil); err != nil || len(b.Events) != 10 {
		t.Errorf("%d events and %v behind the foreign file, must be 10", len(b.Events), err)
	}
}

func TestColumnsThatAreNotKnownArePassedOver(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "x.parquet")
	f, err := os.Create(path)
	must(t, err)
	req := parquet.Repetitions.Required
	root, err := schema.NewGroupNode("event", req, schema.FieldList{
		schema.NewInt64Node("novel", req, -1), schema.NewInt64Node("offset", req, -1), schema.NewInt64Node("time", req, -1), schema.NewByteArrayNode("method", req, -1),
	}, -1)
	must(t, err)
	w := file.NewParquetWriter(f, root)
	rg := w.AppendRowGroup()
	for c := range 4 {
		cw, err := rg.NextColumn()
		must(t, err)
		if c == 3 {
			_, err = cw.(*file.ByteArrayColumnChunkWriter).WriteBatch([]parquet.ByteArray{[]byte("GET"), nil}, nil, nil)
		} else {
			_, err = cw.(*file.Int64ColumnChunkWriter).WriteBatch([]int64{start, start + 1}, nil, nil)
		}
		must(t, err)
	}
	must(t, rg.Close())
	must(t, w.AppendKeyValueMetadata(aboutKey, `{"format":1,"source":"edge","row_groups":[0],"later":true,"partitions":[{"partition":0,"first":1,"last":2,"events":2}]}`))
	must(t, w.Close())
	sign(t, path)
	sources, err := OpenFiles([]string{path}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	var b event.Batch
	_, err = sources[0].ReadEvents(t.Context(), 0, 100, &b, nil)
	must(t, err)
	if len(b.Events) != 2 || b.Events[0].Method != "GET" || b.Events[1].Method != "" || b.Events[1].Time != start+1 || b.Events[0].Bytes != -1 {
		t.Errorf("%+v", b.Events)
	}
}

func TestFilesOfAnotherFormatAreRefusedByName(t *testing.T) {
	b := strings.Replace(string(sample(t)), `{"format":1`, `{"format":9`, 1)
	path := filepath.Join(t.TempDir(), "x.parquet")
	must(t, os.WriteFile(path, []byte(b), 0o600))
	sign(t, path)
	if _, err := OpenFiles([]string{path}, ReadConfig{}); err == nil || !strings.Contains(err.Error(), "format 9, must be 1") || !strings.Contains(err.Error(), path) {
		t.Errorf("%v", err)
	}
}

func TestFilesThatOverlapAreNotReadTwice(t *testing.T) {
	dir := t.TempDir()
	a := opened(t, config(dir, "edge"), nil)
	must(t, a.Add(t.Context(), Part{"edge", 0}, 0, simple(0, start, 10), nil))
	must(t, a.Finish(t.Context()))
	b, err := os.ReadFile(parquets(t, dir)[0])
	must(t, err)
	must(t, os.WriteFile(filepath.Join(dir, "copy.parquet"), b, 0o600))
	sources, err := OpenFiles([]string{dir}, ReadConfig{})
	must(t, err)
	defer sources[0].Close()
	var batch event.Batch
	faults := 0
	for !errors.Is(err, io.EOF) {
		if _, err = sources[0].ReadEvents(t.Context(), 0, 100, &batch, nil); err != nil && !errors.Is(err, io.EOF) {
			faults++
		}
	}
	if len(batch.Events) != 10 || faults != 1 {
		t.Errorf("%d events and %d faults, must be 10 and 1", len(batch.Events), faults)
	}
}

// sign makes the metadata's checksum right; a file of another writer gets one.
func sign(t *testing.T, path string) {
	b, err := os.ReadFile(path)
	must(t, err)
	from := len(b) - footerTail - int(binary.LittleEndian.Uint32(b[len(b)-footerTail:]))
	footer := b[from:]
	if string(b[from-footerSum:from-4]) == footerTag {
		from -= footerSum
	}
	must(t, os.WriteFile(path, append(appendFooterSum(b[:from:from], footer[:len(footer)-footerTail]), footer...), 0o600))
}
