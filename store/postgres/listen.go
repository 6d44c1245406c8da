package postgres

import (
	"context"
	"strconv"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
)

// pause is how long the listener waits before it connects again.
const pause = time.Second

// listener holds a connection of its own on which the database tells of commits with revocations. What it tells is a hint: a
// reader looks at the feed itself, now and then without one.
type listener struct {
	stop context.CancelFunc
	done chan struct{}

	mu      sync.Mutex
	waiting map[int64]chan struct{} // by the number of the issuer
}

// listen starts the listener.
func (s *Store) listen(cfg *pgx.ConnConfig) {
	l := &listener{waiting: map[int64]chan struct{}{}, done: make(chan struct{})}
	ctx, stop := context.WithCancel(context.Background())
	l.stop, s.hints = stop, l
	go func() {
		defer close(l.done)
		for ctx.Err() == nil {
			l.follow(ctx, cfg, s.channel())
			l.wakeAll() // what was told while nobody listened is lost
			wait, done := context.WithTimeout(ctx, pause)
			<-wait.Done()
			done()
		}
	}()
}

// follow listens until the connection or the context ends.
func (l *listener) follow(ctx context.Context, cfg *pgx.ConnConfig, channel string) {
	conn, err := pgx.ConnectConfig(ctx, cfg)
	if err != nil {
		return
	}
	defer conn.Close(context.WithoutCancel(ctx)) //nolint:errcheck // nothing was written
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		return
	}
	l.wakeAll()
	for {
		n, err := conn.WaitForNotification(ctx)
		if err != nil {
			return
		}
		if number, err := strconv.ParseInt(n.Payload, 10, 64); err == nil {
			l.wake(number)
		}
	}
}

// Changed implements store.Hinter. The channel is nil where nobody tells (Options.Silent, or Pooled without Listen), and for an issuer for which nothing was committed yet.
func (s *Store) Changed(ctx context.Context, issuer string) <-chan struct{} {
	if s.hints == nil {
		return nil
	}
	number, err := s.number(ctx, issuer)
	if number == 0 || err != nil {
		return nil
	}
	l := s.hints
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.waiting[number] == nil {
		l.waiting[number] = make(chan struct{})
	}
	return l.waiting[number]
}

func (l *listener) wake(number int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if ch := l.waiting[number]; ch != nil {
		close(ch)
		delete(l.waiting, number)
	}
}

func (l *listener) wakeAll() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for number, ch := range l.waiting {
		close(ch)
		delete(l.waiting, number)
	}
}

func (l *listener) close() {
	if l != nil {
		l.stop()
		<-l.done
	}
}
