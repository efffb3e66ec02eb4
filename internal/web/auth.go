package web

import (
	"bufio"
	"crypto/sha256"
	"crypto/subtle"
	"fmt"
	"net/http"
	"os"
	"strings"
	"sync"

	"golang.org/x/crypto/bcrypt"
)

// Users may see what is served: name to password, plain or as a bcrypt hash.
type Users map[string]string

// ReadUsers reads a file of lines user:password or user:bcrypt-hash (what
// `htpasswd -B` writes). Empty lines and those that begin with # are skipped.
func ReadUsers(name string) (Users, error) {
	data, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("read users: %w", err)
	}
	return parseUsers(name, string(data))
}

func parseUsers(name, data string) (Users, error) {
	users, n := Users{}, 0
	for lines := bufio.NewScanner(strings.NewReader(data)); lines.Scan(); {
		n++
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		user, password, found := strings.Cut(line, ":")
		switch {
		case !found || user == "" || password == "":
			return nil, fmt.Errorf("read users: %s:%d: want user:password or user:bcrypt-hash", name, n)
		case isHash(password):
			if _, err := bcrypt.Cost([]byte(password)); err != nil {
				return nil, fmt.Errorf("read users: %s:%d: bcrypt hash of %q: %w", name, n, user, err)
			}
		}
		if _, twice := users[user]; twice {
			return nil, fmt.Errorf("read users: %s:%d: user %q is there twice", name, n, user)
		}
		users[user] = password
	}
	if len(users) == 0 {
		return nil, fmt.Errorf("read users: %s: no users in it", name)
	}
	return users, nil
}

func isHash(password string) bool { return strings.HasPrefix(password, "$2") }

// require asks for the name and password of one of us; nil Users let everybody in.
func (us Users) require(h http.Handler) http.Handler {
	if us == nil {
		return h
	}
	known := &seen{}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if user, password, ok := r.BasicAuth(); !ok || !us.check(known, user, password) {
			w.Header().Set("WWW-Authenticate", `Basic realm="viperprobe", charset="UTF-8"`)
			http.Error(w, "name and password needed", http.StatusUnauthorized)
			return
		}
		h.ServeHTTP(w, r)
	})
}

// check takes the same time whether or not the user exists, as far as the kind of
// its password allows.
func (us Users) check(known *seen, user, password string) bool {
	want, exists := us[user]
	if !exists {
		for _, other := range us { // what a wrong password of somebody would cost
			want = other
			break
		}
	}
	given := sha256.Sum256([]byte(user + "\x00" + password))
	var right bool
	switch {
	case !isHash(want):
		a, b := sha256.Sum256([]byte(password)), sha256.Sum256([]byte(want))
		right = subtle.ConstantTimeCompare(a[:], b[:]) == 1
	case exists && known.has(given):
		right = true
	default:
		right = bcrypt.CompareHashAndPassword([]byte(want), []byte(password)) == nil
		if right && exists {
			known.add(given)
		}
	}
	return exists && right
}

// seen remembers the last passwords that were right, as hashes, so that a scraper
// does not cost us a bcrypt, some 50 ms of CPU, every few seconds.
type seen struct {
	mu   sync.Mutex
	sums [8][sha256.Size]byte
	next int
}

func (s *seen) has(sum [sha256.Size]byte) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	found := 0
	for i := range s.sums {
		found |= subtle.ConstantTimeCompare(s.sums[i][:], sum[:])
	}
	return found == 1
}

func (s *seen) add(sum [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sums[s.next] = sum
	s.next = (s.next + 1) % len(s.sums)
}
