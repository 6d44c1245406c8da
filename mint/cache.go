package mint

import (
	"crypto/sha256"
	"time"

	"github.com/tokenboundary/tokenboundary"
	"github.com/tokenboundary/tokenboundary/internal/canon"
	"github.com/tokenboundary/tokenboundary/internal/recent"
)

// maxVerified is how many tokens a cache remembers at least.
const maxVerified = 4096

// cache remembers tokens that have verified: an agent exchanges one token many times. It belongs to one issuer, one kind
// of token, and one state of the key set; where keys are added, retired or revoked, the next begins empty. Its key is the
// digest of the whole token, so each spelling is verified by itself, and only who presents a token that verifies puts
// anything in. It answers for the signature and the claims alone: that the key is trusted is looked up on every hit, and
// a token past its exp is not in it. Whether a token, its task or anything it came from lives is never cached.
type cache struct {
	recent.Cache[digest, tokenboundary.Claims]
}

type digest [sha256.Size]byte

func newCache() *cache {
	return &cache{recent.Cache[digest, tokenboundary.Claims]{Size: maxVerified}}
}

func digestOf(raw string) digest {
	buf := canon.GetBuffer()
	defer canon.PutBuffer(buf)
	*buf = append(*buf, raw...)
	return sha256.Sum256(*buf)
}

// get returns the claims of a token that was put in.
func (c *cache) get(d digest, now time.Time) (tokenboundary.Claims, bool) {
	claims, found := c.Get(d)
	return claims, found && now.Unix() < claims.ExpiresAt
}

// put remembers the claims of a token that has just verified.
func (c *cache) put(d digest, claims tokenboundary.Claims, now time.Time) {
	if now.Unix() < claims.ExpiresAt {
		c.Put(d, claims)
	}
}
