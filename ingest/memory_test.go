package ingest

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"
)

func TestMemoryReturnsItsRecords(t *testing.T) {
	partitions := [][]MemoryRecord{
		{{Line: []byte("a"), Offset: 3, Appended: 9}, {Line: make([]byte, MaxLine+1), Offset: 4}, {Line: []byte("b"), Offset: 7}},
		{{Line: []byte("c"), Offset: 1}},
		nil,
	}
	for p, want := range [][]string{{"a", "b"}, {"c"}, nil} {
		for _, max := range []int{1, 100} {
			m := NewMemory("script", partitions)
			var r Records
			var err error
			for err == nil {
				err = m.Read(context.Background(), p, max, &r)
			}
			var got []string
			for i := range r.Len() {
				got = append(got, string(r.Line(i)))
			}
			if !errors.Is(err, io.EOF) || !slices.Equal(got, want) || (r.Appended != nil) != (p == 0) || (r.TooLong == 1) != (p == 0) {
				t.Errorf("partition %d: %q, appended %v, %d too long, %v", p, got, r.Appended, r.TooLong, err)
			}
		}
	}
}
