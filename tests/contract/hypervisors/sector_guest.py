"""A guest of 512 bytes for the machine type `pc`: it boots in no time and behaves like a whole operating system.

It says hello on its serial console, echoes what is typed there, gives back devices that are unplugged, and switches
itself off when the power button is pressed. Between two looks it sleeps until the timer's next tick.
"""

HELLO = b"hello from a guest of 512 bytes\r\n" + b"".join(b"line %d\r\n" % n for n in range(2, 13))
HELLO_AT = 0x7C00 + 0x56
SIZE = 1 << 20

_LISTING = (
    ("31c0 8ed8 8ed0", "xor ax,ax; mov ds,ax; mov ss,ax"),
    ("bc007c", "mov sp,0x7c00"),
    (f"be{HELLO_AT.to_bytes(2, 'little').hex()}", "mov si,HELLO"),
    ("baf803", "mov dx,0x3f8            the serial port"),
    ("ac 84c0 7403", "next: lodsb; test al,al; jz ready"),
    ("ee ebf8", "out dx,al; jmp next"),
    ("ba0206 b80001 ef", "ready: mov dx,0x602; mov ax,0x100; out dx,ax     be told of the power button"),
    ("ba0006 ed f6c401 7407", "look: mov dx,0x600; in ax,dx; test ah,1; jz typed      was it pressed?"),
    ("ba0406 b80020 ef", "mov dx,0x604; mov ax,0x2000; out dx,ax           sleep state S5: off"),
    ("bafd03 ec a801 7405", "typed: mov dx,0x3fd; in al,dx; test al,1; jz unplug     has a byte come?"),
    ("baf803 ec ee", "mov dx,0x3f8; in al,dx; out dx,al                echo it"),
    ("ba10ae 6631c0 66ef", "unplug: mov dx,0xae10; xor eax,eax; out dx,eax        bus 0"),
    ("ba04ae 66ed 6685c0 7405", "mov dx,0xae04; in eax,dx; test eax,eax; jz rest  is a device to be given back?"),
    ("ba08ae 66ef", "mov dx,0xae08; out dx,eax                         give it back"),
    ("fb f4 ebc8", "rest: sti; hlt; jmp look"),
)


def sector_guest() -> bytes:
    """A raw disk of one MiB that boots the guest."""
    code = b"".join(bytes.fromhex(row) for row, _ in _LISTING)
    assert 0x7C00 + len(code) == HELLO_AT
    boot = code + HELLO + b"\0"
    return boot + bytes(510 - len(boot)) + b"\x55\xaa" + bytes(SIZE - 512)
