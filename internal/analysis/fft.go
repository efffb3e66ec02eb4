package analysis

import (
	"math"
	"math/cmplx"
)

// A transform is the discrete Fourier transform of real sequences of one even length n, by the complex one of half the
// length: mixed radix, self-sorting (Stockham; Van Loan 1992, section 1.7), with all twiddle factors laid out in the
// order of their use. It holds scratch space: one per goroutine.
type transform struct {
	n      int
	passes []pass
	turn   []complex128 // exp(-2πik/n), k to n/4
	a, b   []complex128
}

// A pass splits sequences of length radix·rest, stride of them side by side, into ones of length rest.
type pass struct {
	radix, rest, stride int
	twiddle             []complex128 // radix-1 for each of rest
}

// newTransform prepares for n, which is even and has no prime factor above 5.
func newTransform(n int) *transform {
	half := n / 2
	f := &transform{n: n, a: make([]complex128, half), b: make([]complex128, half), turn: make([]complex128, half/2+1)}
	for k := range f.turn {
		f.turn[k] = unit(k, n)
	}
	stride := 1
	for length := half; length > 1; {
		radix := 4
		for length%radix != 0 {
			radix = map[int]int{4: 2, 2: 3, 3: 5}[radix]
		}
		p := pass{radix: radix, rest: length / radix, stride: stride}
		for k := range p.rest {
			for j := 1; j < radix; j++ {
				p.twiddle = append(p.twiddle, unit(j*k, length))
			}
		}
		f.passes = append(f.passes, p)
		length /= radix
		stride *= radix
	}
	return f
}

// unit is exp(-2πik/n).
func unit(k, n int) complex128 { return cmplx.Rect(1, -2*math.Pi*float64(k)/float64(n)) }

// forward gives the coefficients 0 to n/2 of x, which has n values.
func (f *transform) forward(dst []complex128, x []float64) []complex128 {
	half := f.n / 2
	for i := range f.a {
		f.a[i] = complex(x[2*i], x[2*i+1])
	}
	z := f.run()
	for k := 0; k <= half/2; k++ {
		p, q := z[k], cmplx.Conj(z[(half-k)%half])
		even, odd := (p+q)/2, f.turn[k]*(p-q)/2
		odd = complex(imag(odd), -real(odd))
		dst[k] = even + odd
		dst[half-k] = cmplx.Conj(even - odd)
	}
	return dst
}

// backward gives n times the sequence whose coefficients 0 to n/2 are c.
func (f *transform) backward(dst []float64, c []complex128) {
	half := f.n / 2
	for k := 0; k <= half/2; k++ {
		p, q := c[k], cmplx.Conj(c[half-k])
		even, odd := p+q, cmplx.Conj(f.turn[k])*(p-q)
		odd = complex(-imag(odd), real(odd))
		// The inverse is the forward transform of the conjugate, conjugated.
		f.a[k] = cmplx.Conj(even + odd)
		if k > 0 {
			f.a[half-k] = even - odd
		}
	}
	for i, v := range f.run() {
		dst[2*i], dst[2*i+1] = real(v), -imag(v)
	}
}

// run transforms a.
func (f *transform) run() []complex128 {
	from, to := f.a, f.b
	for _, p := range f.passes {
		switch p.radix {
		case 2:
			p.two(to, from)
		case 3:
			p.three(to, from)
		case 4:
			p.four(to, from)
		default:
			p.five(to, from)
		}
		from, to = to, from
	}
	return from
}

func (p pass) two(dst, src []complex128) {
	s := p.stride
	for k := range p.rest {
		w := p.twiddle[k]
		x0, x1 := src[s*k:][:s], src[s*(k+p.rest):][:s]
		y0, y1 := dst[2*s*k:][:s], dst[2*s*k+s:][:s]
		for i, a := range x0 {
			b := x1[i]
			y0[i], y1[i] = a+b, (a-b)*w
		}
	}
}

func (p pass) three(dst, src []complex128) {
	const sin60 = 0.86602540378443864676
	s := p.stride
	for k := range p.rest {
		w := p.twiddle[2*k:][:2]
		x0, x1, x2 := src[s*k:][:s], src[s*(k+p.rest):][:s], src[s*(k+2*p.rest):][:s]
		out := dst[3*s*k:][:3*s]
		y0, y1, y2 := out[:s], out[s:][:s], out[2*s:][:s]
		for i, a := range x0 {
			b, c := x1[i], x2[i]
			sum, diff := b+c, b-c
			mid := complex(real(a)-real(sum)/2, imag(a)-imag(sum)/2)
			side := complex(sin60*imag(diff), -sin60*real(diff))
			y0[i], y1[i], y2[i] = a+sum, (mid+side)*w[0], (mid-side)*w[1]
		}
	}
}

func (p pass) four(dst, src []complex128) {
	s := p.stride
	if s == 1 {
		p.fourAlone(dst, src)
		return
	}
	for k := range p.rest {
		w := p.twiddle[3*k:][:3]
		w1, w2, w3 := w[0], w[1], w[2]
		x0, x1 := src[s*k:][:s], src[s*(k+p.rest):][:s]
		x2, x3 := src[s*(k+2*p.rest):][:s], src[s*(k+3*p.rest):][:s]
		out := dst[4*s*k:][:4*s]
		y0, y1, y2, y3 := out[:s], out[s:][:s], out[2*s:][:s], out[3*s:][:s]
		for i, a := range x0 {
			b, c, d := x1[i], x2[i], x3[i]
			ac, bd, amc, bmd := a+c, b+d, a-c, b-d
			jbd := complex(imag(bmd), -real(bmd))
			y0[i], y1[i], y2[i], y3[i] = ac+bd, (amc+jbd)*w1, (ac-bd)*w2, (amc-jbd)*w3
		}
	}
}

// fourAlone is four for a stride of 1, whose inner loop would have one turn.
func (p pass) fourAlone(dst, src []complex128) {
	r := p.rest
	x0, x1, x2, x3 := src[:r], src[r:][:r], src[2*r:][:r], src[3*r:][:r]
	for i, a := range x0 {
		b, c, d := x1[i], x2[i], x3[i]
		w, y := p.twiddle[3*i:][:3], dst[4*i:][:4]
		ac, bd, amc, bmd := a+c, b+d, a-c, b-d
		jbd := complex(imag(bmd), -real(bmd))
		y[0], y[1], y[2], y[3] = ac+bd, (amc+jbd)*w[0], (ac-bd)*w[1], (amc-jbd)*w[2]
	}
}

func (p pass) five(dst, src []complex128) {
	const (
		cos72, sin72   = 0.30901699437494742410, 0.95105651629515357212
		cos144, sin144 = -0.80901699437494742410, 0.58778525229247312917
	)
	s := p.stride
	for k := range p.rest {
		w := p.twiddle[4*k:][:4]
		x0, x1, x2 := src[s*k:][:s], src[s*(k+p.rest):][:s], src[s*(k+2*p.rest):][:s]
		x3, x4 := src[s*(k+3*p.rest):][:s], src[s*(k+4*p.rest):][:s]
		out := dst[5*s*k:][:5*s]
		y0, y1, y2, y3, y4 := out[:s], out[s:][:s], out[2*s:][:s], out[3*s:][:s], out[4*s:][:s]
		for i, a := range x0 {
			p1, m1, p2, m2 := x1[i]+x4[i], x1[i]-x4[i], x2[i]+x3[i], x2[i]-x3[i]
			r1 := complex(real(a)+cos72*real(p1)+cos144*real(p2), imag(a)+cos72*imag(p1)+cos144*imag(p2))
			r2 := complex(real(a)+cos144*real(p1)+cos72*real(p2), imag(a)+cos144*imag(p1)+cos72*imag(p2))
			s1 := complex(sin72*imag(m1)+sin144*imag(m2), -sin72*real(m1)-sin144*real(m2))
			s2 := complex(sin144*imag(m1)-sin72*imag(m2), -sin144*real(m1)+sin72*real(m2))
			y0[i] = a + p1 + p2
			y1[i], y4[i] = (r1+s1)*w[0], (r1-s1)*w[3]
			y2[i], y3[i] = (r2+s2)*w[1], (r2-s2)*w[2]
		}
	}
}
