//go:build linux && (amd64 || arm64)

package crash

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"
	"testing/cryptotest"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/tokenboundary/tokenboundary/store/bolt"
)

// bed is what schedules start from: a store with something of everything in it, and what must be true of it.
type bed struct {
	root  string // of all directories
	dir   string
	model *model
	key   crypto.Signer
	text  string // of the key
	now   time.Time
}

// quick is a directory in memory where there is one: whether a file is on a disk is played here, and not asked of one.
func quick(t testing.TB) string {
	t.Helper()
	parent := ""
	if unix.Access("/dev/shm", unix.W_OK) == nil {
		parent = "/dev/shm"
	}
	dir, err := os.MkdirTemp(parent, "tokenboundary-crash-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(dir)) })
	return dir
}

func newKey(t testing.TB) (crypto.Signer, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	return key, base64.StdEncoding.EncodeToString(der)
}

// newBed makes a store and carries out the prelude.
func newBed(t *testing.T) *bed {
	t.Helper()
	cryptotest.SetGlobalRandom(t, 1)
	b := &bed{root: quick(t), model: newModel(), now: start}
	b.dir = filepath.Join(b.root, "bed")
	require.NoError(t, os.Mkdir(b.dir, 0o700))
	b.key, b.text = newKey(t)
	s, err := bolt.Open(filepath.Join(b.dir, "store"))
	require.NoError(t, err)
	n, err := boot(t.Context(), s, issuer, b.now, b.key)
	require.NoError(t, err)
	b.now = b.model.play(t, n, prelude(), b.now)
	v, err := n.look(t.Context())
	require.NoError(t, err)
	require.NoError(t, b.model.adopt(v))
	require.NoError(t, b.model.check(t.Context(), n, v))
	require.NoError(t, s.Close())
	return b
}

// play carries out operations one after the other, and returns when it was done.
func (m *model) play(t testing.TB, n *node, all []op, now time.Time) time.Time {
	t.Helper()
	for _, o := range all {
		now = now.Add(step)
		o.At = now
		out, err := n.do(t.Context(), o, m.held())
		require.NoError(t, explained(err), "%s after %v", o, all)
		m.apply(o, out)
		v, err := n.look(t.Context())
		require.NoError(t, err)
		require.NoError(t, m.adopt(v), o)
	}
	return now
}

// duplicate copies the files of a directory, holes left out.
func duplicate(from, to string) error {
	if err := os.Mkdir(to, 0o700); err != nil {
		return err
	}
	all, err := os.ReadDir(from)
	for _, e := range all {
		err = errors.Join(err, duplicateFile(filepath.Join(from, e.Name()), filepath.Join(to, e.Name())))
	}
	return err
}

func duplicateFile(from, to string) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close() //nolint:errcheck // was only read
	out, err := os.OpenFile(to, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	size, err := in.Seek(0, io.SeekEnd)
	for at := int64(0); err == nil && at < size; {
		data, seeks := unix.Seek(int(in.Fd()), at, unix.SEEK_DATA)
		if errors.Is(seeks, unix.ENXIO) {
			break
		}
		end, ends := unix.Seek(int(in.Fd()), data, unix.SEEK_HOLE)
		if err = errors.Join(seeks, ends); err == nil {
			_, err = io.Copy(io.NewOffsetWriter(out, data), io.NewSectionReader(in, data, end-data))
		}
		at = end
	}
	return errors.Join(err, out.Truncate(size), out.Close())
}
