package torture

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"weir/internal/testkit"
)

// diskSize is how large the disk is whose power is cut.
const diskSize = 512 << 20

// The power is cut while weir writes: what the disk holds at that moment is all
// there is. From each such disk weir recovers, and decides what must be decided.
func TestAPowerCutLosesNothing(t *testing.T) {
	w := newWorld(t)
	s := w.fileSources(0)
	w.home = w.path("disk")
	w.configure(s)
	disk := newDisk(t, w.path("device"))
	disk.mount(t, w.home)
	t.Cleanup(func() {
		if w.proc != nil {
			w.proc.kill()
		}
	})
	w.begin(8, 600, s)
	w.start()
	w.resumed(time.Time{})
	moments := rand.New(rand.NewPCG(rand.Uint64(), 0))
	var images []string
	tries := 0
	for i := range often(t, "WEIR_POWER_CUTS", 2) {
		if status, ok := w.proc.wait(time.Second + time.Duration(moments.Int64N(int64(1500*time.Millisecond)))); ok {
			t.Fatalf("weir ended by itself: %v", status)
		}
		image := w.path(fmt.Sprintf("image-%d", i))
		tries += disk.cut(t, w.proc, image)
		images = append(images, image)
	}
	last := w.settle()
	w.check(last)
	var slowest time.Duration
	lines := 0
	for i, image := range images {
		took, right := w.recovers(t, i, image, s, last)
		slowest = max(slowest, took)
		lines += right
	}
	testkit.Figure(t, "%d power cuts (images taken at %d attempts): from each disk weir was where it must be %.2f s after its start, at most; %d lines of decisions exactly as foreseen",
		len(images), tries, slowest.Seconds(), lines)
}

// disk is a block device in a file.
type disk struct {
	file, device string
	detach       func()
}

// newDisk makes a disk with an empty file system.
func newDisk(t *testing.T, file string) *disk {
	t.Helper()
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(diskSize); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	// Nothing is left to be written in the background later on.
	tool(t, "mkfs.ext4", "-q", "-F", "-m", "0", "-E", "lazy_itable_init=0,lazy_journal_init=0", file)
	return attached(t, file)
}

func attached(t *testing.T, file string) *disk {
	t.Helper()
	device, release := attach(t, file)
	return &disk{file, device, release}
}

// mount mounts the disk at a new directory, which only its owner may read.
func (d *disk) mount(t *testing.T, dir string) (release func()) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	release = mount(t, d.device, dir, "ext4", "")
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return release
}

// written returns how many writes the disk has done and has under way.
func (d *disk) written(t *testing.T) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("/sys/block", filepath.Base(d.device), "stat"))
	if err != nil {
		t.Fatal(err)
	}
	f := strings.Fields(string(b))
	return f[4] + " " + f[6] + " " + f[8]
}

// cut copies what the disk holds while the process is stopped in its tracks:
// what it has written and not synced is not there. A copy during which the
// kernel wrote is of no moment, and is taken again.
func (d *disk) cut(t *testing.T, p *process, image string) (tries int) {
	t.Helper()
	defer p.signal(syscall.SIGCONT)
	for tries = 1; tries <= 100; tries++ {
		p.signal(syscall.SIGSTOP)
		before := d.written(t)
		tool(t, "cp", "--sparse=always", "--reflink=never", d.file, image)
		if strings.HasSuffix(before, " 0") && d.written(t) == before {
			return tries
		}
		p.signal(syscall.SIGCONT)
		time.Sleep(37 * time.Millisecond)
	}
	t.Fatalf("the disk was written to during each of %d copies", tries-1)
	return 0
}

// recovers starts weir from a disk whose power was cut and demands that all is
// decided as it must be.
func (w *world) recovers(t *testing.T, number int, image string, s sources, last int64) (took time.Duration, right int) {
	t.Helper()
	d := attached(t, image)
	dir := w.path(fmt.Sprintf("cut-%d", number))
	release := d.mount(t, dir)
	state := filepath.Join(dir, "state")
	config, said := w.path(fmt.Sprintf("cut-%d.yaml", number)), w.path(fmt.Sprintf("cut-%d.said", number))
	if err := os.WriteFile(config, []byte(configText(s.yaml, dir)), 0o600); err != nil {
		t.Fatal(err)
	}
	p, err := launch(said, nil, "run", "-c", config)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		p.kill()
		if t.Failed() {
			t.Logf("after power cut %d it said:\n%s", number, p.text())
		}
		release()
		d.detach()
	}()
	until(t, time.Minute, "all of the log was decided", func() bool {
		if !p.alive() {
			t.Fatalf("after power cut %d weir ended: %v", number, p.cmd.ProcessState)
		}
		return newest(state).Unix() >= last
	})
	took = time.Since(p.begun)
	lines, err := readLines(state, "decisions.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	v := judge(lines, w.foreseen(state, last), last)
	if v.wrong > 0 {
		t.Errorf("after power cut %d: %v", number, v)
	}
	return took, v.right
}
