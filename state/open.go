package state

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"weir/internal/failpoint"
)

// storeDir is where Badger's files are, below the state's directory.
const storeDir = "store"

// ErrRefused is what opening a store wraps that is not damaged but not ours:
// of a newer format, with another number of units or of another key.
var ErrRefused = errors.New("the store is refused")

// Open opens the store in a directory or makes one. One that is damaged is put
// aside and a new one begun: Broken says why. One of another format, number of
// units or key is an error that names it. It waits while the disk has less than
// the reserve, saying so.
func Open(ctx context.Context, cfg Config) (*Store, error) {
	s, err := bare(cfg)
	if err != nil {
		return nil, err
	}
	if err := s.disk.wait(ctx); err != nil {
		return nil, err
	}
	removeStale(cfg.Dir, s.log)
	if cfg.Temporary {
		if s.path, err = os.MkdirTemp(cfg.Dir, temporaryPrefix+"*"); err != nil {
			return nil, fmt.Errorf("making a temporary store: %w", err)
		}
		if err := s.make(newID()); err != nil {
			return nil, errors.Join(err, os.RemoveAll(s.path))
		}
		return s, nil
	}
	if err := s.open(); err != nil {
		return nil, fmt.Errorf("opening the store %s: %w", s.path, err)
	}
	return s, nil
}

// refuseFormat says which format a store has that cannot be read, and what to do.
func refuseFormat(format int) error {
	return fmt.Errorf("%w: it is of format %d, this version of weir reads %d: go on with the version of weir that wrote it, or move store and %s away and let the state be derived from the log again",
		ErrRefused, format, Format, sidecarFile)
}

// bare returns a store that is not open yet.
func bare(cfg Config) (*Store, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("state: %w", err)
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Memory = max(cfg.Memory, LeastMemory)
	if cfg.sizes == (sizes{}) {
		cfg.sizes = usualSizes
	}
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the state's directory: %w", err)
	}
	s := &Store{cfg: cfg, log: cfg.Log, path: filepath.Join(cfg.Dir, storeDir), sweep: place{unit: -1}, swept: time.Now()}
	for i := range cfg.Units {
		s.units = append(s.units, Unit{store: s, index: i})
	}
	var err error
	if s.disk, err = newDisk(cfg, s.log); err != nil {
		return nil, err
	}
	return s, nil
}

// open opens what is there, or puts it aside and makes a new store.
func (s *Store) open() error {
	side, damage := readSidecar(s.cfg.Dir)
	if damage != nil && !errors.Is(damage, ErrCorrupt) {
		return damage
	}
	exists, err := inUse(s.path)
	if err != nil {
		return err
	}
	switch {
	case damage != nil:
	case side == nil && !exists:
		return s.create(newID())
	case side == nil:
		damage = fmt.Errorf("%w: its sidecar %s is missing", ErrCorrupt, sidecarFile)
	case side.Format != Format:
		return refuseFormat(side.Format)
	case side.Units != s.cfg.Units:
		return fmt.Errorf("%w: it has %d units, and is to be opened with %d", ErrRefused, side.Units, s.cfg.Units)
	case side.KeyID != s.cfg.KeyID:
		return fmt.Errorf("%w: it was made with the key %q, and is to be opened with %q: key_file must be the one that it was made with", ErrRefused, side.KeyID, s.cfg.KeyID)
	case !exists && side.Generation == 0:
		return s.create(side.ID)
	case !exists:
		damage = fmt.Errorf("%w: it is gone, and %s has generation %d of it", ErrCorrupt, sidecarFile, side.Generation)
	default:
		damage = s.load(side)
	}
	if damage == nil {
		return nil
	}
	if !errors.Is(damage, ErrCorrupt) {
		return damage
	}
	where, err := putAside(s.cfg.Dir, damage)
	if err != nil {
		return fmt.Errorf("putting aside what is damaged (%w): %w", damage, err)
	}
	s.broken = fmt.Sprintf("%v; put aside as %s", damage, where)
	return s.create(newID())
}

// create makes a store with its sidecar. That is written first: a store without
// one is never taken for a new one.
func (s *Store) create(id string) error {
	side := sidecar{ID: id, Format: Format, Units: s.cfg.Units, KeyID: s.cfg.KeyID}
	if err := side.write(s.cfg.Dir); err != nil {
		return fmt.Errorf("writing its sidecar: %w", err)
	}
	return s.make(id)
}

// make makes an empty store.
func (s *Store) make(id string) (err error) {
	s.id = id
	if err := os.MkdirAll(s.path, 0o700); err != nil {
		return err
	}
	if s.db, err = openBadger(badgerOptions(s.path, s.cfg.tableBytes(), s.log)); err != nil {
		return err
	}
	s.ahead = newAhead(s.path)
	s.segment, s.extra, s.waste = 1, 1, &waste{from: 1, until: 1}
	v := &view{units: make([]unitView, s.cfg.Units), blobs: map[string]blob{}}
	for i := range v.units {
		v.units[i].tables = map[uint16]*tableView{}
	}
	if err := s.flip(v, s.segment); err != nil {
		return errors.Join(err, closeBadger(s.db))
	}
	v.snapshot = s.snapshot()
	s.publish(newView(v, &s.views))
	s.blocks.Store(blocks(s.path))
	return nil
}

// load opens what is there. An error that wraps ErrCorrupt says that it is
// damaged.
func (s *Store) load(side *sidecar) error {
	s.id = side.ID
	attempt, err := beginAttempt(s.cfg.Dir)
	if err != nil {
		return err
	}
	failpoint.Hit("state.open.before")
	if err := checkTables(s.path); err != nil {
		return err
	}
	if s.db, err = openBadger(badgerOptions(s.path, s.cfg.tableBytes(), s.log)); err != nil {
		return corrupt(err)
	}
	if err := guarded(func() error { return s.adopt(side) }); err != nil {
		return errors.Join(err, closeBadger(s.db))
	}
	return attempt.end()
}

// adopt reads all of the store, and puts what its root says into force.
func (s *Store) adopt(side *sidecar) error {
	sv := &survey{db: s.db, unitCount: s.cfg.Units}
	if err := sv.roots(); err != nil {
		return err
	}
	if sv.root == nil && side.Generation == 0 {
		// It was made, and the process ended before anything was in it.
		if err := closeBadger(s.db); err != nil {
			return err
		}
		return errors.Join(os.RemoveAll(s.path), s.make(side.ID))
	}
	if err := sv.matches(side); err != nil {
		return err
	}
	if err := sv.run(); err != nil {
		return err
	}
	if err := sv.compare(); err != nil {
		return err
	}
	s.ahead = newAhead(s.path)
	now := s.snapshot()
	v, err := sv.view(now)
	if err != nil {
		now.close()
		return err
	}
	s.generation, s.segment, s.waste = v.generation, sv.latest, &waste{}
	s.extra = sv.waste(s.waste)
	s.publish(newView(v, &s.views))
	s.blocks.Store(blocks(s.path))
	if side.Generation < v.generation {
		s.record(v)
	}
	return nil
}

// readFlip reads what the view was committed with.
func (v *view) readFlip() error {
	b, ok := v.blobs[flipBlob]
	if !ok {
		if v.generation > 0 {
			return fmt.Errorf("%w: generation %d without what it was committed with", ErrCorrupt, v.generation)
		}
		return nil
	}
	body, err := v.blob(b)
	if err != nil {
		return err
	}
	v.flip, err = decodeFlip(body)
	return err
}

// environment is what keeps a sound store from being opened: it is no reason to
// put one aside.
var environment = []unix.Errno{
	unix.EACCES, unix.EPERM, unix.EMFILE, unix.ENFILE, unix.ENOMEM, unix.ENOSPC, unix.EDQUOT, unix.EROFS,
}

// corrupt makes sure that an error says that the store is damaged, unless it is
// the environment's. Of those that pass through Badger only the text is left.
func corrupt(err error) error {
	if err == nil {
		return nil
	}
	for _, e := range environment {
		if errors.Is(err, e) || strings.Contains(err.Error(), e.Error()) {
			return err
		}
	}
	if errors.Is(err, ErrCorrupt) {
		return err
	}
	return fmt.Errorf("%w: %w", ErrCorrupt, err)
}

// newID returns a name that no other store has.
func newID() string { return rand.Text() }

// inUse reports whether a directory exists; it is an error where another
// process has Badger open in it.
func inUse(dir string) (exists bool, err error) {
	f, err := os.Open(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	defer f.Close()
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		return true, fmt.Errorf("another process has it open: %w", err)
	}
	return true, nil // closing gives the lock up
}
