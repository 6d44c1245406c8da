package bolt

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.etcd.io/bbolt"

	"github.com/tokenboundary/tokenboundary/store"
)

// TestPowerLoss ends a store at random points of Open, Commit and Close, several times in a row, by the end of its process
// or of the power: then of what was not synced any sectors may be lost. What was acknowledged, or once answered by a store
// that had been opened, is always there, and no transaction is there in part.
func TestPowerLoss(t *testing.T) {
	seeds := uint64(12)
	if testing.Short() {
		seeds = 5
	}
	total := map[string]int{}
	for seed := range seeds {
		m := &mortal{T: t, rng: rand.New(rand.NewPCG(seed, 1)), total: total}
		t.Logf("seed %d", seed)
		m.start()
		for range 40 {
			m.live()
		}
		require.NoError(t, m.s.release())
	}
	t.Log(total)
	for _, control := range []string{
		"killed", "lost power", "ended in Open", "ended in Commit", "ended in Close", "failed write", "failed sync",
		"unanswered commit is there", "unanswered commit is not there", "checkpoint",
	} {
		require.Positive(t, total[control], control)
	}
}

// mortal is a store and the transactions that were sent to it.
type mortal struct {
	*testing.T
	rng          *rand.Rand
	path         string
	s            *Store
	log          *recorder
	disk         disk
	steps        []step // of the call that is under way
	txs          []store.Tx
	acknowledged int // how many of txs
	total        map[string]int
}

func (m *mortal) one(in int) bool { return m.rng.IntN(in) == 0 }

// start opens a store that was closed before.
func (m *mortal) start() {
	m.path = filepath.Join(m.TempDir(), "store")
	m.begin()
	require.NoError(m, m.s.Close())
	file, err := os.ReadFile(m.path)
	require.NoError(m, err)
	m.disk = disk{durable: map[string][]byte{"": file}}
	m.begin()
	m.disk.do(m.done(true)...)
}

// live makes a call.
func (m *mortal) live() {
	switch {
	case m.one(8):
		m.close()
	case m.one(10):
		m.fail()
	default:
		m.commit()
	}
}

func (m *mortal) begin() {
	var err error
	m.s, err = open(m.path, bbolt.Options{NoSync: true})
	require.NoError(m, err)
	m.s.LimitLog(5000)
	m.log = &recorder{file: m.s.log.file, steps: &m.steps, room: -1}
	m.s.log.file = m.log
}

// open opens the store until that does not end too early, and looks at what there is.
func (m *mortal) open() {
	for m.begin(); m.ends("Open", 3); m.begin() {
	}
	m.look()
}

// look compares what there is with what was acknowledged.
func (m *mortal) look() {
	count, err := m.s.Heads(m.Context(), issuer, []string{"count"})
	require.NoError(m, err)
	n := int(count[0].Count)
	require.GreaterOrEqual(m, n, m.acknowledged, "an acknowledged transaction is gone")
	require.LessOrEqual(m, n, len(m.txs))
	if len(m.txs) > m.acknowledged {
		m.total[fmt.Sprintf("unanswered commit is%s there", map[bool]string{true: "", false: " not"}[n > m.acknowledged])]++
	}
	requireNumbered(m.T, m.s, m.txs, n)
	m.txs, m.acknowledged = m.txs[:n], n
}

func (m *mortal) commit() {
	first := len(m.txs)
	for range 1 + m.rng.IntN(3) {
		m.txs = append(m.txs, numbered(m.T, len(m.txs)))
	}
	before := m.s.log.generation
	for _, err := range m.s.Commit(m.Context(), m.txs[first:]) {
		require.NoError(m, err)
	}
	if m.s.log.generation != before {
		m.total["checkpoint"]++
	}
	if m.ends("Commit", 3) {
		m.open()
		return
	}
	if m.acknowledged = len(m.txs); m.one(4) {
		requireNumbered(m.T, m.s, m.txs, len(m.txs))
	}
}

// fail has the disk refuse the next frame, or its sync.
func (m *mortal) fail() {
	failure, cause := "write", error(syscall.ENOSPC)
	if m.log.room = int64(m.rng.IntN(300)); m.one(2) {
		failure, cause, m.log.room, m.log.syncFails = "sync", syscall.EIO, -1, true
	}
	m.s.LimitLog(logLimit)
	m.txs = append(m.txs, numbered(m.T, len(m.txs)))
	err := m.s.Commit(m.Context(), m.txs[m.acknowledged:])[0]
	require.ErrorIs(m, err, cause)
	_, got := m.s.Get(m.Context(), issuer, nil)
	require.Equal(m, err, got)
	m.total["failed "+failure]++
	require.True(m, m.ends("a failed commit", 1))
	m.open()
}

func (m *mortal) close() {
	require.NoError(m, m.s.Close())
	m.ends("Close", 2)
	m.open()
}

// ends finishes the call under way. One time in so many it is the last one, and only some of its steps are taken.
func (m *mortal) ends(call string, in int) bool {
	steps := m.done(call == "Open")
	if !m.one(in) {
		m.disk.do(steps...)
		return false
	}
	m.total["ended in "+call]++
	m.die(steps[:m.rng.IntN(len(steps)+1)], m.one(2))
	return true
}

// done returns what the call under way did to the disk.
func (m *mortal) done(opened bool) []step {
	steps := append(m.steps, m.disk.changes(m.T, m.path, m.steps, opened)...)
	m.steps = nil
	return steps
}

// die ends the process, after those steps of the call under way, and the power with it if it is lost.
func (m *mortal) die(after []step, power bool) {
	_ = m.s.release()
	if m.disk.do(after...); power {
		m.total["lost power"]++
		m.disk.losePower(m.rng)
	} else {
		m.total["killed"]++
	}
	m.path = filepath.Join(m.TempDir(), "store")
	for suffix, content := range m.disk.seen() {
		if content != nil {
			require.NoError(m, os.WriteFile(m.path+suffix, content, 0o600))
		}
	}
}

// TestPowerLossAfterAKill ends the process at every step of a call, and then the power at every step of the Open after it:
// what one process saw may be what the disk never had.
func TestPowerLossAfterAKill(t *testing.T) {
	calls := map[string]func(*mortal) error{
		"commit": func(m *mortal) error { return m.s.Commit(m.Context(), m.txs[2:])[0] },
		"checkpoint": func(m *mortal) error {
			m.s.LimitLog(0)
			return m.s.Commit(m.Context(), m.txs[2:])[0]
		},
		"close": func(m *mortal) error { return m.s.Close() },
	}
	stride := 1
	if testing.Short() {
		stride = 3
	}
	for name, call := range calls {
		t.Run(name, func(t *testing.T) {
			for killed, steps := 0, 0; killed <= steps; killed++ {
				for lost, stepsOfOpen := 0, 0; lost <= stepsOfOpen; lost += stride {
					m := &mortal{T: t, rng: rand.New(rand.NewPCG(uint64(killed), uint64(lost))), total: map[string]int{}}
					steps, stepsOfOpen = m.dieTwice(call, killed, lost)
				}
			}
		})
	}
}

// dieTwice ends the process after some steps of a call, and the power after some of the Open that follows. It returns how
// many steps these had.
func (m *mortal) dieTwice(call func(*mortal) error, killed, lost int) (steps, stepsOfOpen int) {
	m.start()
	m.txs = []store.Tx{numbered(m.T, 0), numbered(m.T, 1), numbered(m.T, 2)}
	for m.acknowledged < 2 {
		require.NoError(m, m.s.Commit(m.Context(), m.txs[m.acknowledged:m.acknowledged+1])[0])
		m.acknowledged++
	}
	m.disk.do(m.done(false)...)
	require.NoError(m, call(m))
	did := m.done(false)
	m.die(did[:min(killed, len(did))], false)
	m.begin()
	didOpen := m.done(true)
	m.die(didOpen[:min(lost, len(didOpen))], true)
	m.begin()
	m.look()
	require.NoError(m, m.s.release())
	return len(did), len(didOpen)
}
