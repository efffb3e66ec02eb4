# clang -c calls.s && objcopy -O binary -j .text calls.o: the bytes in calls.go
	.globl _start
	.text
	.type _start,@function
_start:
again:
	xor %eax, %eax		# read(0, 0x600000, 8)
	xor %edi, %edi
	mov $0x600000, %esi
	mov $8, %edx
	syscall
	cmp $8, %eax
	jne quit
	mov 0x600000, %rbx
turn:
	test %rbx, %rbx
	jz done
	call outer
	call thrown
resumed:
	cmpw $0, 0x600008
	je off
usdt_begin:
	nop
	call inner
usdt_end:
	nop
off:
	dec %rbx
	jmp turn
done:
	mov $1, %eax		# write(1, 0x600000, 8)
	mov $1, %edi
	mov $0x600000, %esi
	mov $8, %edx
	syscall
	jmp again
quit:
	mov $60, %eax
	xor %edi, %edi
	syscall
	.type outer,@function
outer:
	push %rbp
	mov %rsp, %rbp
	call inner
	mov $3, %ecx
	call deep
	pop %rbp
	ret
	.size outer, .-outer
	.type inner,@function
inner:
	xor %eax, %eax
	nop
	ret
	.size inner, .-inner
	.type deep,@function
deep:
	dec %ecx
	jz bottom
	call deep
bottom:
	ret
	.size deep, .-deep
	.type thrown,@function
thrown:
	nop
	add $8, %rsp		# as longjmp does
	jmp resumed
