package bolt

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/tokenboundary/tokenboundary/lineage"
	"github.com/tokenboundary/tokenboundary/store"
)

func TestCodecKeepsEveryValue(t *testing.T) {
	for _, at := range []time.Time{{}, epoch, epoch.Add(123456789), time.Unix(-1, 0).UTC(), time.Date(9999, 12, 31, 0, 0, 0, 0, time.UTC)} {
		for _, s := range []string{"", "a", "a\x00\xff", string(make([]byte, 3000))} {
			h := store.Head{Key: s, Version: 1 << 63, State: s, Value: []byte(s), Count: 7, Expires: at}
			gotHead, err := decodeHead(encodeHead(h))
			require.NoError(t, err)
			require.Equal(t, h, gotHead)

			sel := lineage.Selector{Kind: s, Value: "v" + s}
			for _, m := range []lineage.Mark{{Selector: sel, Before: at, Seq: 3}, {Selector: sel, Cut: true}, {Selector: sel, Blocked: true}} {
				gotMark, err := decodeMark(encodeMark(m))
				require.NoError(t, err)
				require.Equal(t, m, gotMark)
			}
			r := lineage.Revocation{Seq: 1, Selector: sel, Action: lineage.Block, At: at, Before: at, Reason: s, By: s}
			gotRevocation, err := decodeRevocation(encodeRevocation(r))
			require.NoError(t, err)
			require.Equal(t, r, gotRevocation)
		}
		p, err := decodePosition(encodePosition(position{at, 9}))
		require.NoError(t, err)
		require.Equal(t, position{at, 9}, p)
	}
}

func TestSealCoversThePlace(t *testing.T) {
	sealed := seal("marks", []byte("key"), []byte("value"))
	got, err := unseal("marks", []byte("key"), sealed)
	require.NoError(t, err)
	require.Equal(t, "value", string(got))
	for _, place := range [][2]string{{"heads", "key"}, {"marks", "kez"}, {"marks", ""}, {"", "key"}} {
		_, err := unseal(place[0], []byte(place[1]), sealed)
		require.ErrorIs(t, err, errDamaged)
	}
	for i := range sealed {
		_, err := unseal("marks", []byte("key"), sealed[:i])
		require.ErrorIs(t, err, errDamaged, "cut to %d bytes", i)
	}
}

// FuzzDecode feeds the decoders what no encoder wrote. What one accepts, its encoder writes, byte for byte.
func FuzzDecode(f *testing.F) {
	r := record(f, alice)
	f.Add(encodeRecord(r))
	f.Add(encodeRecord(r.Erase()))
	f.Add(encodeHead(store.Head{Key: "k", Version: 1, State: "s", Value: []byte("v"), Count: 2, Expires: epoch}))
	f.Add(encodeMark(lineage.Mark{Selector: alice, Cut: true, Before: epoch, Seq: 1}))
	f.Add(encodeRevocation(lineage.Revocation{Seq: 1, Selector: alice, Action: lineage.Block, At: epoch, Before: epoch, Reason: "r", By: "b"}))
	f.Add(encodePosition(position{epoch, 1}))
	f.Add([]byte{0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, data []byte) {
		same := func(again []byte, err error) {
			t.Helper()
			if err == nil && !bytes.Equal(again, data) {
				t.Errorf("%x was accepted and is written as %x", data, again)
			}
		}
		rec, err := decodeRecord(data)
		if err == nil && (lineage.IDOf(rec.Raw()) != rec.ID() || rec.ID().IsZero()) {
			t.Errorf("a record was accepted under another address")
		}
		if err == nil {
			same(encodeRecord(rec), nil)
		}
		h, err := decodeHead(data)
		same(encodeHead(h), err)
		m, err := decodeMark(data)
		same(encodeMark(m), err)
		rev, err := decodeRevocation(data)
		same(encodeRevocation(rev), err)
		p, err := decodePosition(data)
		same(encodePosition(p), err)
		_, err = unseal("marks", []byte("k"), data)
		if err == nil {
			same(seal("marks", []byte("k"), data[4:]), nil)
		}
	})
}
