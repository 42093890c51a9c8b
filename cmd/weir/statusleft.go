package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"weir/state"
)

// printLeft says that no run answers, why if that can be told, and what the last
// one has left on disk.
func (o *operator) printLeft(p *page, now time.Time) {
	para(p, fmt.Sprintf("weir is not running; this is what its ledger in %s says.", o.dir))
	if text := o.ending(); text != "" {
		p.wrapped("", 2, text)
	}
	p.heading("What is on disk")
	f, err := readStoreFacts(o.dir)
	key, _, _ := o.cfg.key() // the ledger was read with it
	switch r := f.refused(key); {
	case r != nil:
		p.wrapped("REFUSED", forceIndent, r.Error())
	case errors.Is(err, state.ErrCorrupt):
		p.wrapped("DAMAGED", forceIndent, plainDamage(err.Error())+": "+doStore)
	case err != nil:
		p.wrapped("state", forceIndent, shown(err.Error(), 300))
	case f == nil && !missing(o.file(storeDir)):
		p.wrapped("DAMAGED", forceIndent, storeFile+" is missing: "+doStore)
	case f == nil || f.Generation == 0:
		p.wrapped("state", forceIndent, "no checkpoint: a start reads the log from where it began")
	default:
		text := fmt.Sprintf("saved up to %s by the log", dayText(time.Unix(f.Tick, 0), now))
		if info, err := os.Stat(o.file(storeFile)); err == nil {
			text += ", " + ago(info.ModTime(), now)
		}
		p.wrapped("state", forceIndent, text+"; a start goes on from there and reads the rest of the log again (weir state info says more)")
	}
	for _, a := range storesAside(o.dir, nobodysRun) {
		p.wrapped("PUT ASIDE", forceIndent, fmt.Sprintf("%s, %s: %s", filepath.Base(a.Where), dayText(a.At, now), shown(plainDamage(a.Why), 300)))
	}
}

// ending says how the last run seems to have ended. One that is told to end takes
// its socket with it.
func (o *operator) ending() string {
	pid, err := holderOf(o.dir)
	if err == nil && pid != "" {
		return fmt.Sprintf("Process %s holds the directory and does not answer: it is starting, it is ending, or it hangs (its log says which).", pid)
	}
	if info, err := os.Lstat(o.file(socketFile)); err == nil && info.Mode()&fs.ModeSocket != 0 {
		return "Nobody answers at its socket: the last run did not end by itself. It was killed, or the machine went down."
	}
	return ""
}
