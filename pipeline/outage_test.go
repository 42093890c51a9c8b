package pipeline_test

import (
	"testing"
	"testing/synctest"
	"time"
)

// Who writes to a source may come back later than the source does.
func TestAnOutageIsNoSilenceWhenTheSourceIsBackBeforeItsWriters(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed("log", 2)
		a := startLive(t, nil, f)
		a.put(f, 0, "a", 0)
		a.put(f, 1, "b", 0)
		time.Sleep(time.Second)
		f.answers(0, false)
		f.answers(1, false)
		time.Sleep(15 * time.Second)
		f.answers(0, true)
		f.answers(1, true)
		time.Sleep(5 * time.Second)
		a.want("nobody is idle so soon")
		a.put(f, 0, "c", 3)
		a.put(f, 1, "d", 3)
		a.put(f, 0, "e", 40)
		a.put(f, 1, "f", 40)
		time.Sleep(time.Second)
		a.want("nothing is late", "new a 1 @21", "new b 1 @21", "new c 4 @21", "new d 4 @21", "end a 11 @21", "end b 11 @21", "end c 14 @21", "end d 14 @21")
		a.stop()
	})
}
