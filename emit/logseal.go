package emit

import (
	"fmt"
	"path/filepath"
	"slices"

	logseal "weir/internal/seal"
)

// Seal returns what the file has that is safe. It may be called by any
// goroutine.
func (d *Decisions) Seal() logseal.Seal { return d.seal.Load() }

// CheckDecisions returns nil if the file at path, or one that it was put aside
// as, still begins as it was sealed. It is to be asked before OpenDecisions,
// which takes a file that was cut for one that a crash has torn.
func CheckDecisions(path string, s logseal.Seal) error {
	d := &Decisions{path: path}
	paths := []string{path}
	for n := d.newest(); n > 0; n-- {
		paths = append(paths, d.aside(n))
	}
	if err := logseal.Check(s, paths...); err != nil {
		return fmt.Errorf("decisions: %w", err)
	}
	return nil
}

// Seal returns what the ledger's file has that is safe; of a ledger in memory
// that is nothing. It may be called by any goroutine.
func (l *Ledger) Seal() logseal.Seal {
	if l.file == nil {
		return logseal.Seal{}
	}
	return l.file.seal.Load()
}

// CheckLedger returns nil if the file at path, or one that it was put aside as,
// still begins as it was sealed. The chain shows lines that were changed, but
// not that the last ones, or all of them, are missing.
func CheckLedger(path string, s logseal.Seal) error {
	aside, err := asideFiles(filepath.Dir(path))
	if err != nil {
		return err
	}
	paths := []string{path}
	for _, n := range slices.Backward(aside) {
		paths = append(paths, asidePath(filepath.Dir(path), n))
	}
	if err := logseal.Check(s, paths...); err != nil {
		return fmt.Errorf("ledger: %w", err)
	}
	return nil
}
