package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"weir/event"
	"weir/state"
)

// stateOptions are the flags of the commands about a state's directory.
type stateOptions struct {
	config string
	key    string
	json   bool
}

func stateCommand(e *environment) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "state info|verify|compact [DIR]",
		Short: "Look into the directory in which a run keeps what it knows",
		Long: "state looks into a state's directory (state: dir: of the configuration) while no weir runs in\n" +
			"it: what is in it, whether all of it is as it was written, and whether it can be smaller.\n" +
			"A run that uses the directory keeps it to itself; weir status asks that one.",
		Args: func(cmd *cobra.Command, args []string) error {
			if len(args) > 0 {
				return usagef("unknown command %q (see %s --help)", args[0], cmd.CommandPath())
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(stateInfoCommand(e), stateVerifyCommand(e), stateCompactCommand(e))
	return cmd
}

func stateInfoCommand(e *environment) *cobra.Command {
	var o stateOptions
	cmd := &cobra.Command{
		Use:   "info [DIR]",
		Short: "Say what is in a state: keys by what they are of, positions, files",
		Args:  oneArgAtMost,
		RunE:  func(cmd *cobra.Command, args []string) error { return e.stateInfo(cmd.Context(), &o, args) },
	}
	stateFlags(cmd, &o)
	return cmd
}

func stateVerifyCommand(e *environment) *cobra.Command {
	var o stateOptions
	cmd := &cobra.Command{
		Use:   "verify [DIR]",
		Short: "Check every checksum of a state, its journal, its decisions and the chain of its ledger",
		Long: "verify reads all of a state and says of each file whether it is as it was written, and if not,\n" +
			"what to do. It changes nothing. It ends with 1 if anything is damaged, or could not be checked.",
		Args: oneArgAtMost,
		RunE: func(cmd *cobra.Command, args []string) error { return e.stateVerify(cmd.Context(), &o, args) },
	}
	stateFlags(cmd, &o)
	cmd.Flags().StringVar(&o.key, "key", "", "the key file of the ledger's chain (default: key_file: of the configuration)")
	return cmd
}

func stateCompactCommand(e *environment) *cobra.Command {
	var o stateOptions
	cmd := &cobra.Command{
		Use:   "compact [DIR]",
		Short: "Give the space back that a state's files take and do not need",
		Args:  oneArgAtMost,
		RunE:  func(cmd *cobra.Command, args []string) error { return e.stateCompact(cmd.Context(), &o, args) },
	}
	stateFlags(cmd, &o)
	return cmd
}

func stateFlags(cmd *cobra.Command, o *stateOptions) {
	configFlag(cmd, &o.config)
	cmd.Flags().BoolVar(&o.json, "json", false, "print it as JSON")
}

// heldState is a state's directory that this command holds, so that no run
// begins in it meanwhile.
type heldState struct {
	*stateDir
	keyFile string // empty: not known
	reserve int64  // bytes that are to stay free on its disk; 0: not known
}

// holdState finds the directory that a command was called with, or that of the
// configuration, and takes it. In what is no state's directory nothing is made.
func (e *environment) holdState(o *stateOptions, args []string) (*heldState, error) {
	h := &heldState{keyFile: o.key}
	dir := ""
	if len(args) > 0 {
		dir = args[0]
	}
	if dir == "" || o.config != "" {
		cfg, path, err := anyConfig(o.config)
		if err != nil {
			return nil, err
		}
		if dir == "" && cfg.State.Dir == "" {
			return nil, usagef("%s: state: dir: missing; name the directory instead", path)
		}
		if dir == "" {
			dir = cfg.path(cfg.State.Dir)
		}
		h.reserve = cfg.reserve()
		if h.keyFile == "" {
			h.keyFile = cfg.optionalPath(cfg.KeyFile)
		}
	}
	if err := stateThere(dir); err != nil {
		return nil, err
	}
	if o.config == "" && h.keyFile == "" && len(args) > 0 {
		h.asConfigured(dir)
	}
	var err error
	if h.stateDir, err = openState(dir); errors.Is(err, errHeld) {
		return nil, fmt.Errorf("%w; stop it first, or ask it with weir status", err)
	}
	return h, err
}

// asConfigured takes what the usual configuration says of a directory that was
// named, where it is that one's.
func (h *heldState) asConfigured(dir string) {
	cfg, _, err := anyConfig("")
	if err != nil || cfg.State.Dir == "" {
		return // none is needed
	}
	named, err := os.Stat(dir)
	if err != nil {
		return
	}
	if its, err := os.Stat(cfg.path(cfg.State.Dir)); err == nil && os.SameFile(named, its) {
		h.reserve, h.keyFile = cfg.reserve(), cfg.optionalPath(cfg.KeyFile)
	}
}

// stateThere refuses what is no state's directory.
func stateThere(dir string) error {
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return usagef("%s: no such directory", dir)
	case err != nil:
		return usagef("%w", err)
	case !info.IsDir():
		return usagef("%s: not a directory; a configuration is named with -c", dir)
	}
	for _, name := range stateFiles {
		if !missing(filepath.Join(dir, name)) {
			return nil
		}
	}
	return usagef("%s: not a state's directory: there is no %s and no %s in it", dir, journalFile, storeDir)
}

// The store's places in a state's directory; those that were put aside are
// numbered.
const (
	storeDir    = "store"
	storeFile   = "store.json"
	storeBroken = "store.broken-"
)

// stateFiles are what a state's directory is known by. An archive has a lock, too.
var stateFiles = []string{journalFile, decisionsFile, ledgerFile, storeFile, storeDir}

// done gives the directory up. What root made in it is its owner's.
func (h *heldState) done() error { return errors.Join(handOverAll(h.path), h.close()) }

// handOverAll gives all that root made below a directory to whom the directory
// belongs: the user that weir runs as has to write it, too.
func handOverAll(dir string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	own, err := ownerOf(dir)
	if err == nil {
		err = filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			has, err := ownerOf(path)
			if err == nil && has != own {
				err = os.Lchown(path, own.uid, own.gid)
			}
			return err
		})
	}
	if err != nil {
		return fmt.Errorf("state: dir: %w", err)
	}
	return nil
}

// loadKey reads the key file; nil where none is known.
func (h *heldState) loadKey() (*event.Key, error) {
	if h.keyFile == "" {
		return nil, nil
	}
	k, err := event.LoadKey(h.keyFile)
	if err != nil {
		return nil, usagef("%w", err)
	}
	return k, nil
}

func (e *environment) stateCompact(ctx context.Context, o *stateOptions, args []string) (err error) {
	h, err := e.holdState(o, args)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.done()) }()
	before, after, err := state.Compact(ctx, h.path, h.reserve)
	if errors.Is(err, fs.ErrNotExist) {
		before, after, err = 0, 0, nil // nothing was kept yet
	}
	if errors.Is(err, state.ErrCorrupt) {
		return fmt.Errorf("state: %s (weir state verify says what to do)", plainDamage(err.Error()))
	}
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	if o.json {
		return printJSON(e.out, struct {
			Before int64 `json:"before"`
			After  int64 `json:"after"`
		}{before, after})
	}
	p := &page{w: e.out}
	switch {
	case before == 0 && after == 0:
		para(p, fmt.Sprintf("%s: there is nothing in it yet", h.path))
	case after < before:
		para(p, fmt.Sprintf("%s: the files took %s and take %s now", h.path, bytesText(before), bytesText(after)))
	default:
		para(p, fmt.Sprintf("%s: the files take %s; there is nothing to give back", h.path, bytesText(after)))
	}
	return p.err
}
