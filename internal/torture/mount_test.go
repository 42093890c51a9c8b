package torture

import (
	"errors"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// asRoot is what to do about a mount that is not allowed.
const asRoot = "this campaign mounts file systems of its own, which only root may: run as root what you ran (sudo -E make test, or sudo -E make torture)"

// mountMemory mounts a small file system in memory at a new directory, until
// the test ends.
func mountMemory(t *testing.T, dir, size string) {
	t.Helper()
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	mount(t, "tmpfs", dir, "tmpfs", "mode=0700,size="+size)
}

// mount mounts a file system until the test ends or it is released. Who uses it still keeps it until then.
func mount(t *testing.T, from, dir, kind, options string) (release func()) {
	t.Helper()
	err := syscall.Mount(from, dir, kind, 0, options)
	if errors.Is(err, syscall.EPERM) {
		t.Fatal(asRoot)
	}
	if err != nil {
		t.Fatalf("mount %s on %s: %v", kind, dir, err)
	}
	release = sync.OnceFunc(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	t.Cleanup(release)
	return release
}

// attach makes a block device of a file, until the test ends or it is released.
func attach(t *testing.T, file string) (device string, release func()) {
	t.Helper()
	device = strings.TrimSpace(tool(t, "losetup", "--find", "--show", file))
	release = sync.OnceFunc(func() { // by then its number may be another's
		if out, err := exec.Command("losetup", "--detach", device).CombinedOutput(); err != nil {
			t.Errorf("losetup --detach %s: %v: %s", device, err, out)
		}
	})
	t.Cleanup(release)
	return device, release
}

// tool runs one of the system's programs.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("%s is not installed: apt-get install -y mount e2fsprogs", name)
	}
	out, err := exec.Command(path, args...).CombinedOutput()
	if err != nil {
		if os.Geteuid() != 0 {
			t.Fatal(asRoot)
		}
		t.Fatalf("%s %s: %v: %s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}
