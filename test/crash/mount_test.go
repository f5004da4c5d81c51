package crash

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// tmpfs mounts a small file system of its own, in bytes such as "48m", or skips.
func tmpfs(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		t.Skipf("not run: a small tmpfs cannot be mounted here (%v); it takes root", err)
	}
	unmountAfter(t, dir)
	return dir
}

// image makes an ext4 file system in a file on a tmpfs and mounts it, or skips. It returns the file and the mount point.
func image(t *testing.T, mib int) (file, dir string) {
	t.Helper()
	for _, tool := range []string{"mkfs.ext4", "losetup", "mount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skipf("not run: %s is missing here", tool)
		}
	}
	file = filepath.Join(tmpfs(t, "512m"), "disk.img")
	f, err := os.Create(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Truncate(int64(mib) << 20); err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-F", file).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.ext4: %v\n%s", err, out)
	}
	return file, loop(t, file)
}

// loop mounts an image file.
func loop(t *testing.T, file string) string {
	t.Helper()
	dir := t.TempDir()
	if out, err := exec.Command("mount", "-o", "loop", file, dir).CombinedOutput(); err != nil {
		t.Skipf("not run: a loop image cannot be mounted here (%v: %s)", err, strings.TrimSpace(string(out)))
	}
	unmountAfter(t, dir)
	return dir
}

// unmountAfter unmounts when the test ends, after the servers of the test were killed: cleanups run last in, first out.
func unmountAfter(t *testing.T, dir string) {
	t.Helper()
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount %s: %v %s", dir, err, out)
		}
	})
}
