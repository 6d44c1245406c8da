package mint

import (
	"crypto/sha256"
	"sync"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
)

// maxVerified bounds each of the two generations of a cache.
const maxVerified = 4096

// cache remembers tokens that have verified: an agent exchanges one token many times. It belongs to one issuer, one kind
// of token, and one state of the key set; where keys are added, retired or revoked, the next begins empty. Its key is the
// digest of the whole token, so each spelling is verified by itself, and only who presents a token that verifies puts
// anything in. It answers for the signature and the claims alone: that the key is trusted is looked up on every hit, and
// a token past its exp is not in it. Whether a token, its task or anything it came from lives is never cached.
type cache struct {
	mu    sync.Mutex
	young map[digest]tokenboundary.Claims
	old   map[digest]tokenboundary.Claims // what was young before
}

type digest [sha256.Size]byte

func digestOf(raw string) digest {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	*buf = append(*buf, raw...)
	return sha256.Sum256(*buf)
}

// get returns the claims of a token that was put in.
func (c *cache) get(d digest, now time.Time) (tokenboundary.Claims, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	claims, found := c.young[d]
	if !found {
		if claims, found = c.old[d]; found {
			c.add(d, claims)
		}
	}
	return claims, found && now.Unix() < claims.ExpiresAt
}

// put remembers the claims of a token that has just verified.
func (c *cache) put(d digest, claims tokenboundary.Claims, now time.Time) {
	if now.Unix() >= claims.ExpiresAt {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.add(d, claims)
}

// add makes room by forgetting what was not asked for since the last time.
func (c *cache) add(d digest, claims tokenboundary.Claims) {
	if c.young == nil || len(c.young) >= maxVerified {
		c.young, c.old = make(map[digest]tokenboundary.Claims), c.young
	}
	c.young[d] = claims
}
