package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/dgraph-io/badger/v4"
	"github.com/dgraph-io/badger/v4/table"
)

// Report is what Look found in a store.
type Report struct {
	ID         string
	Format     int
	Units      int
	KeyID      string
	Generation uint64 // of the last checkpoint; 0: there was none
	Last       Flip
	Tables     []TableReport
	Blobs      map[string]int64 // bytes by name
	Garbage    int64            // bytes of records that nobody reads, before they were compressed
	Faults     []Fault          // at most FaultsMax
	MoreFaults int              // those beyond
	Disk       int64            // blocks on disk, in bytes
	Aside      []string         // damaged stores that were put aside
}

// TableReport is how much is in a table, over all units.
type TableReport struct {
	Table   uint16
	Values  int64
	Bytes   int64 // of its records
	Records int64
	Pages   int64
}

// Fault is something that is wrong with a store.
type Fault struct{ Where, What string }

// FaultsMax is how many faults a report lists.
const FaultsMax = 1000

func (r *Report) fault(where string, err error) {
	if len(r.Faults) == FaultsMax {
		r.MoreFaults++
		return
	}
	r.Faults = append(r.Faults, Fault{where, err.Error()})
}

// Look reads the store in a state's directory and checks every record of it. It
// changes nothing: Badger is opened on links and copies of the store's files,
// which are removed again. each, unless nil, is called with every value. The
// caller sees to it that nobody has the store open. What is wrong with the store
// is in the report; an error is why it could not be looked at.
func Look(ctx context.Context, dir string, each func(unit int, table uint16, k Key, value []byte)) (Report, error) {
	var r Report
	path := filepath.Join(dir, storeDir)
	exists, err := inUse(path)
	if err != nil {
		return r, fmt.Errorf("looking at the store %s: %w", path, err)
	}
	numbers, err := aside(dir)
	if err != nil {
		return r, fmt.Errorf("looking at the state's directory: %w", err)
	}
	for _, n := range numbers {
		r.Aside = append(r.Aside, asidePath(dir, n))
	}
	side, err := readSidecar(dir)
	switch {
	case errors.Is(err, ErrCorrupt):
		r.fault(sidecarFile, errors.Unwrap(err)) // which it names itself
	case err != nil:
		return r, fmt.Errorf("looking at the state's directory: %w", err)
	case side == nil && !exists:
		return r, fmt.Errorf("there is no store in %s: %w", dir, fs.ErrNotExist)
	case side == nil:
		r.fault(sidecarFile, fmt.Errorf("%w: it is missing", ErrCorrupt))
	default:
		r.ID, r.Format, r.Units, r.KeyID, r.Generation = side.ID, side.Format, side.Units, side.KeyID, side.Generation
		if side.Format != Format {
			return r, refuseFormat(side.Format)
		}
	}
	if !exists {
		r.fault(storeDir, fmt.Errorf("%w: it is missing", ErrCorrupt))
		return r, nil
	}
	r.Disk = blocks(path)
	if err := lookInto(ctx, dir, side, &r, each); err != nil {
		return r, fmt.Errorf("looking at the store %s: %w", path, err)
	}
	return r, nil
}

func lookInto(ctx context.Context, dir string, side *sidecar, r *Report, each func(int, uint16, Key, []byte)) (err error) {
	sound, err := lookAtTables(filepath.Join(dir, storeDir), r)
	if err != nil || !sound {
		return err // Badger would end the process on what is left
	}
	return onDouble(ctx, dir, func(db *badger.DB, err error) error {
		if err == nil {
			sv := &survey{db: db, fault: r.fault}
			if err = guarded(func() error { return r.survey(ctx, sv, side, each) }); err != nil && !errors.Is(err, ErrCorrupt) {
				return err
			}
		}
		if err != nil {
			r.fault(storeDir, err)
		}
		return nil
	})
}

// onDouble calls look with Badger opened on links and copies of the store's files,
// which are removed again, or with why it cannot be opened.
func onDouble(ctx context.Context, dir string, look func(db *badger.DB, err error) error) (err error) {
	double, err := os.MkdirTemp(dir, temporaryPrefix+"*")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(double)) }()
	if err := duplicate(ctx, filepath.Join(dir, storeDir), double); err != nil {
		return err
	}
	db, err := openBadger(badgerOptions(double, leastTable, slog.New(slog.DiscardHandler)).WithNumCompactors(0))
	if err != nil {
		return look(nil, err)
	}
	defer func() { err = errors.Join(err, closeBadger(db)) }()
	return look(db, nil)
}

// survey fills the report in.
func (r *Report) survey(ctx context.Context, sv *survey, side *sidecar, each func(int, uint16, Key, []byte)) error {
	if err := sv.roots(); err != nil {
		return err
	}
	if sv.root == nil && side != nil && side.Generation == 0 {
		return nil // it was made, and nothing was in it yet
	}
	if side != nil || sv.root == nil {
		if side == nil {
			side = &sidecar{}
		}
		if err := sv.matches(side); err != nil {
			r.fault(storeDir, err)
		}
	}
	if sv.root == nil {
		return nil
	}
	r.ID, r.Format, r.Units, r.KeyID = sv.root.id, sv.root.format, sv.root.units, sv.root.keyID
	r.Generation = sv.root.generation
	if err := errors.Join(ctx.Err(), sv.run()); err != nil {
		return err
	}
	if err := sv.compare(); err != nil {
		return err
	}
	for _, seg := range slices.Concat(sv.segments, sv.stray) {
		r.Garbage += seg.total - seg.live
	}
	r.Blobs = map[string]int64{}
	for name, b := range sv.root.blobs {
		if own, ok := strings.CutPrefix(name, callerBlob("")); ok {
			r.Blobs[own] = int64(b.size)
		}
	}
	now := &snapshot{txn: sv.db.NewTransaction(false)}
	defer now.close()
	v, err := sv.view(now)
	r.Last = v.flip
	if err != nil {
		return err
	}
	return r.tables(ctx, v, each)
}

// tables reads all values and sums the units' tables up.
func (r *Report) tables(ctx context.Context, v *view, each func(int, uint16, Key, []byte)) error {
	sums := map[uint16]*TableReport{}
	for i := range v.units {
		for id, t := range v.units[i].tables {
			sum := sums[id]
			if sum == nil {
				sum = &TableReport{Table: id}
				sums[id] = sum
			}
			sum.Bytes += t.bytes
			err := v.scan(i, id, t, func(at place, live []change) error {
				sum.Values += int64(len(live))
				for _, c := range live {
					if each != nil {
						each(at.unit, at.table, c.key, c.value)
					}
				}
				return ctx.Err()
			})
			if err != nil {
				return err
			}
			for _, p := range t.each() {
				sum.Pages++
				sum.Records += int64(p.records)
			}
		}
	}
	for _, id := range slices.Sorted(maps.Keys(sums)) {
		r.Tables = append(r.Tables, *sums[id])
	}
	return nil
}

// lookAtTables checks the tables that the manifest names; sound is false where
// one of them is not.
func lookAtTables(path string, r *Report) (sound bool, err error) {
	manifest, err := readManifest(path)
	if err != nil {
		if !errors.Is(err, ErrCorrupt) {
			return false, err
		}
		r.fault(storeDir, err)
		return false, nil
	}
	sound = true
	for _, id := range slices.Sorted(maps.Keys(manifest.Tables)) {
		name := table.NewFilename(id, path)
		if err := checkTable(name); err != nil {
			if !errors.Is(err, ErrCorrupt) {
				return false, err
			}
			r.fault(filepath.Join(storeDir, filepath.Base(name)), err)
			sound = false
		}
	}
	return sound, nil
}

// duplicate makes another directory of a store's files: links to its tables,
// which never change, and copies of the rest.
func duplicate(ctx context.Context, from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := ctx.Err(); err != nil {
			return err
		}
		src, dst := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		switch {
		case !e.Type().IsRegular():
		case filepath.Ext(e.Name()) == ".sst":
			if err := os.Link(src, dst); err == nil {
				continue
			}
			fallthrough
		default:
			if err := copySparse(src, dst); err != nil {
				return err
			}
		}
	}
	return nil
}

// copySparse copies a file and leaves holes where it has nothing but zeros: the
// logs of memtables are mostly that.
func copySparse(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(copyBlocks(out, in), out.Close())
}

func copyBlocks(out, in *os.File) error {
	buf, zeros := make([]byte, 64<<10), make([]byte, 64<<10)
	for at := int64(0); ; {
		n, err := io.ReadFull(in, buf)
		if n > 0 && !bytes.Equal(buf[:n], zeros[:n]) {
			if _, err := out.WriteAt(buf[:n], at); err != nil {
				return err
			}
		}
		at += int64(n)
		switch {
		case err == io.EOF || err == io.ErrUnexpectedEOF:
			return out.Truncate(at)
		case err != nil:
			return err
		}
	}
}
