package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"weir/ingest"
)

// showProgress writes how far a source has been read, on one line that it
// clears at the end, if w is a terminal. The function returned stops it.
func showProgress(w io.Writer, src ingest.Source) (stop func()) {
	f, ok := w.(*os.File)
	if !ok {
		return func() {}
	}
	info, err := f.Stat()
	if err != nil || info.Mode()&os.ModeCharDevice == 0 {
		return func() {}
	}
	p, ok := src.(interface{ Progress() (done, total int64) })
	if !ok {
		return func() {}
	}
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		tick := time.NewTicker(200 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				fmt.Fprint(w, "\r\x1b[K")
				return
			case <-tick.C:
			}
			if done, total := p.Progress(); total > 0 {
				fmt.Fprintf(w, "\r%3d %% of %s", 100*done/total, bytesText(total))
			} else {
				fmt.Fprintf(w, "\r%s", bytesText(done))
			}
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}
