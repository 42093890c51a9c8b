//go:build failpoints

package failpoint

import (
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
)

var armed = sync.OnceValues(func() (name string, left *int) {
	name, n, _ := strings.Cut(os.Getenv("WEIR_FAILPOINT"), ":")
	count, err := strconv.Atoi(n)
	if err != nil {
		count = 1
	}
	return name, &count
})

var mu sync.Mutex

// Hit marks a place at which a test may have the process killed: at the n-th
// time that it comes by, where the environment says WEIR_FAILPOINT=NAME:n.
func Hit(name string) {
	want, left := armed()
	if name != want {
		return
	}
	mu.Lock()
	defer mu.Unlock()
	if *left--; *left == 0 {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {}
	}
}
