package state

import (
	"bytes"
	"encoding/binary"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"testing"

	"github.com/klauspost/compress/s2"
)

// packedEntries are entries that shrink.
func packedEntries() []byte {
	var changes []byte
	for i := range 60 {
		changes = AppendChange(changes, goldenKey(i), bytes.Repeat([]byte{0, 0, byte(i), 1}, 12))
	}
	at := place{unit: 3, table: 513, page: 7}
	return append(appendPageEntry(nil, kindBase, at, 0, len(changes)), changes...)
}

// A chunk that another machine packed, maybe into other bytes, is read here.
func TestAChunkThatWasPackedBeforeIsReadAsItWas(t *testing.T) {
	golden := filepath.Join("testdata", "chunk.packed")
	if flag.Lookup("update").Value.String() == "true" {
		if err := os.WriteFile(golden, packChunk(7, 3, packedEntries(), new([]byte)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	record, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	entries, err := openChunk(record, 7, 3, nil)
	if err != nil || !bytes.Equal(entries, packedEntries()) {
		t.Fatalf("read %d bytes, error %v; must be the %d that were packed", len(entries), err, len(packedEntries()))
	}
	if len(record) > len(entries)/2 {
		t.Errorf("%d bytes of %d", len(record), len(entries))
	}
	if got, want := unpackedSize(appendChunkKey(nil, 7, 3), record), int64(chunkKeyLen+recordHead+chunkHead+len(entries)); got != want {
		t.Errorf("it is weighed as %d bytes, must be %d", got, want)
	}
}

// However small a record is, it cannot make its reader take more than a chunk.
func TestAChunkThatClaimsToBeLargerThanAnyIsCorrupt(t *testing.T) {
	claim := func(n int) []byte {
		record, _ := BeginRecord(nil)
		record = binary.AppendUvarint(appendChunkHead(record, 7, 3), uint64(n))
		EndRecord(record, 0, recordVersion)
		return record
	}
	key := appendChunkKey(nil, 7, 3)
	for _, n := range []int{chunkMost + 1, 1 << 31, 1 << 40} {
		if _, err := openChunk(claim(n), 7, 3, nil); !errors.Is(err, ErrCorrupt) {
			t.Errorf("%d bytes: error %v", n, err)
		}
		if got := unpackedSize(key, claim(n)); got > 100 {
			t.Errorf("%d bytes: weighed as %d", n, got)
		}
	}
	if _, err := openChunk(claim(100), 7, 3, nil); !errors.Is(err, ErrCorrupt) {
		t.Errorf("nothing where 100 bytes shall be: error %v", err)
	}
	full, _ := BeginRecord(nil)
	full = append(appendChunkHead(full, 7, 3), s2.Encode(nil, make([]byte, chunkMost))...)
	EndRecord(full, 0, recordVersion)
	if b, err := openChunk(full, 7, 3, nil); err != nil || len(b) != chunkMost {
		t.Errorf("the largest: %d bytes, error %v", len(b), err)
	}
}
