package simulate

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
)

// unpacked reads the lines of a file, compressed or not.
func unpacked(t *testing.T, file string) (lines []string) {
	t.Helper()
	f, err := os.Open(file)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var r io.Reader = f
	switch filepath.Ext(file) {
	case ".zst":
		z, err := zstd.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		defer z.Close()
		r = z
	case ".gz":
		if r, err = gzip.NewReader(f); err != nil {
			t.Fatal(err)
		}
	}
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		lines = append(lines, sc.Text())
	}
	if sc.Err() != nil {
		t.Fatal(sc.Err())
	}
	return lines
}

func TestEveryLineHasItsLabel(t *testing.T) {
	for _, c := range []struct{ compress, file string }{{"", "access.log.zst"}, {"gz", "access.log.gz"}, {"none", "access.log"}} {
		dir := filepath.Join(t.TempDir(), "out")
		var each []string
		truth, err := Write(t.Context(), load(t, "stuffing"), Options{Seed: 1, Scale: 0.001}, Output{Dir: dir, Compress: c.compress, Each: func(l *Line) error {
			each = append(each, string(l.Text))
			return nil
		}})
		if err != nil {
			t.Fatal(err)
		}
		log, labels := unpacked(t, filepath.Join(dir, c.file)), unpacked(t, filepath.Join(dir, LabelsFile))
		if len(log) != len(labels) || int64(len(log)) != truth.Lines || truth.Log != c.file {
			t.Fatalf("%d lines, %d labels, %d in truth of %s", len(log), len(labels), truth.Lines, truth.Log)
		}
		of := map[string]int64{}
		for i, label := range labels {
			of[label]++
			if log[i] != each[i] {
				t.Fatalf("line %d was told as another one", i)
			}
			if strings.Contains(log[i], "ShopApp/4.") && strings.Contains(log[i], `"username":"`) && strings.Contains(log[i], "POST") &&
				label != "honest/old_app" && label != "attack/stuffing/stuffing" {
				t.Fatalf("%s is labelled %s", log[i], label)
			}
		}
		read, err := ReadTruth(os.DirFS(dir))
		if err != nil {
			t.Fatal(err)
		}
		for _, l := range read.Labels {
			if of[l.Name] != l.Requests {
				t.Errorf("%s: %d lines, truth says %d", l.Name, of[l.Name], l.Requests)
			}
			delete(of, l.Name)
		}
		if len(of) != 0 {
			t.Errorf("labels that truth does not know: %v", of)
		}
		if read.From.After(read.Until) || read.Until.Sub(read.From) > 96*time.Hour || len(read.Goals) == 0 || read.Seed != 1 || read.Scale != 0.001 {
			t.Errorf("truth: %+v", read)
		}
	}
}

func TestFilesAreTheSameEachTime(t *testing.T) {
	write := func() string {
		dir := filepath.Join(t.TempDir(), "out")
		if _, err := Write(t.Context(), load(t, "cards"), Options{Seed: 7, Scale: 0.001}, Output{Dir: dir}); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	a, b := write(), write()
	files := 0
	err := filepath.WalkDir(a, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files++
		one, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(a, path)
		two, err := os.ReadFile(filepath.Join(b, name))
		if string(one) != string(two) {
			t.Errorf("%s differs", name)
		}
		return err
	})
	if err != nil || files != 9 {
		t.Errorf("%d files: %v", files, err)
	}
	if info, err := os.Stat(filepath.Join(a, keyFile)); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the key: %v %v", info.Mode(), err)
	}
}

func TestWritingEndsAtOnceAndLeavesNoTruth(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "out")
	ctx, stop := context.WithCancel(t.Context())
	var seen int64
	_, err := Write(ctx, load(t, "quiet"), Options{Seed: 1, Scale: 1}, Output{Dir: dir, Progress: func(lines int64, at, until time.Time) {
		if seen = lines; !at.Before(until) {
			t.Errorf("at %v of %v", at, until)
		}
		stop()
	}})
	if !errors.Is(err, context.Canceled) || seen == 0 || seen > 20_000 {
		t.Errorf("after %d lines: %v", seen, err)
	}
	if _, err := os.Stat(filepath.Join(dir, TruthFile)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("there is a truth: %v", err)
	}
}

func TestDirectoryMustBeEmptyAndTheLogNot(t *testing.T) {
	dir := t.TempDir()
	sc := load(t, "quiet", "days=1")
	for name := range sc.Honest {
		delete(sc.Honest, name)
	}
	if _, err := Write(t.Context(), sc, Options{}, Output{Dir: filepath.Join(dir, "none")}); err == nil || !strings.Contains(err.Error(), "nothing happens") {
		t.Errorf("an empty log: %v", err)
	}
	if _, err := Write(t.Context(), sc, Options{}, Output{Dir: dir}); err == nil || !strings.Contains(err.Error(), "is not empty") {
		t.Errorf("a directory with something in it: %v", err)
	}
	if _, err := Write(t.Context(), sc, Options{}, Output{Dir: filepath.Join(dir, "rar"), Compress: "rar"}); err == nil || !strings.Contains(err.Error(), "must be zst, gz or none") {
		t.Errorf("an unknown compression: %v", err)
	}
	failed := errors.New("no more")
	if _, err := Write(t.Context(), load(t, "quiet"), Options{Scale: 0.001}, Output{Dir: filepath.Join(dir, "each"), Each: func(*Line) error { return failed }}); !errors.Is(err, failed) {
		t.Errorf("a reader that fails: %v", err)
	}
}
