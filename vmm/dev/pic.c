/* SPDX-License-Identifier: BSD-2-Clause */
#include "vmm/dev/pic.h"

#define ICW1_ICW4   0x01
#define ICW1_SINGLE 0x02
#define ICW1        0x10
#define ICW4_AEOI   0x02
#define ICW4_SFNM   0x10 /* special fully nested mode */

#define OCW3          0x08
#define OCW3_READ     0x02
#define OCW3_READ_ISR 0x01
#define OCW3_POLL     0x04
#define OCW3_SET_SMM  0x40
#define OCW3_SMM      0x20
#define SPURIOUS      7
#define NONE          8 /* no input: the lowest of all priorities */

enum { MASTER, SLAVE };

/* Inputs that may be level triggered; the others are the board's own (PIIX4 data sheet, ELCR). */
static const u8 elcr_writable[2] = {0xf8, 0xde};

void pic_init(struct pic *p)
{
    *p = (struct pic){
        .chip[MASTER] = {.base = 0x08, .imr = 0xff, .lowest = 7},
        .chip[SLAVE] = {.base = 0x70, .imr = 0xff, .lowest = 7},
    };
}

/* The first input of the set in order of priority: its place in that order, or NONE. */
static unsigned first_place(const struct pic_chip *c, u8 set)
{
    for (unsigned place = 0; place < 8; place++)
        if (set & (1u << ((c->lowest + 1 + place) & 7)))
            return place;
    return NONE;
}

static unsigned input_at(const struct pic_chip *c, unsigned place)
{
    return place == NONE ? NONE : (c->lowest + 1 + place) & 7;
}

/* The input that the chip would present to INTA, or NONE. */
static unsigned pending_input(const struct pic_chip *c, bool master)
{
    u8 serving = c->isr;
    unsigned place = first_place(c, c->irr & (u8)~c->imr);

    if (c->special_mask)
        serving &= (u8)~c->imr;
    if (master && (c->icw4 & ICW4_SFNM)) /* the slave orders its own */
        serving &= (u8) ~(1u << PIC_CASCADE);
    return place < first_place(c, serving) ? input_at(c, place) : NONE;
}

/* The cascade input follows the slave's INT. */
static void cascade_update(struct pic *p)
{
    u8 bit = 1u << PIC_CASCADE;

    if (pending_input(&p->chip[SLAVE], false) != NONE)
        p->chip[MASTER].irr |= bit;
    else
        p->chip[MASTER].irr &= (u8)~bit;
}

static void chip_line(struct pic_chip *c, unsigned input, bool level)
{
    u8 bit = (u8)(1u << input);
    bool rises = level && !(c->lines & bit);

    c->lines = level ? c->lines | bit : c->lines & (u8)~bit;
    if (rises)
        c->irr |= bit;
    if (!level && (c->elcr & bit))
        c->irr &= (u8)~bit;
}

void pic_line(struct pic *p, unsigned line, bool level)
{
    if (line > 15 || line == PIC_CASCADE)
        return;
    chip_line(&p->chip[line / 8], line & 7, level);
    cascade_update(p);
}

bool pic_intr(const struct pic *p)
{
    return pending_input(&p->chip[MASTER], true) != NONE;
}

static u8 chip_vector(const struct pic_chip *c, unsigned input)
{
    return c->base | (u8)(input == NONE ? SPURIOUS : input);
}

u8 pic_vector(const struct pic *p)
{
    unsigned input = pending_input(&p->chip[MASTER], true);

    if (input == PIC_CASCADE)
        return chip_vector(&p->chip[SLAVE], pending_input(&p->chip[SLAVE], false));
    return chip_vector(&p->chip[MASTER], input);
}

/* The input goes into service, unless the chip ends it by itself. */
static void chip_serve(struct pic_chip *c, unsigned input)
{
    u8 bit;

    if (input == NONE)
        return;
    bit = (u8)(1u << input);
    if (!(c->elcr & bit))
        c->irr &= (u8)~bit;
    if (!(c->icw4 & ICW4_AEOI))
        c->isr |= bit;
    else if (c->rotate_auto_eoi)
        c->lowest = (u8)input;
}

u8 pic_acknowledge(struct pic *p)
{
    unsigned input = pending_input(&p->chip[MASTER], true);
    u8 vector = pic_vector(p);

    if (input == PIC_CASCADE)
        chip_serve(&p->chip[SLAVE], pending_input(&p->chip[SLAVE], false));
    chip_serve(&p->chip[MASTER], input);
    cascade_update(p);
    return vector;
}

static void chip_give_back(struct pic_chip *c, u8 bit)
{
    c->isr &= (u8)~bit;
    c->irr |= bit;
}

void pic_give_back(struct pic *p, u8 vector)
{
    struct pic_chip *master = &p->chip[MASTER], *slave = &p->chip[SLAVE];
    u8 bit = (u8)(1u << vector % 8);
    bool spurious = vector % 8 == SPURIOUS;

    if ((vector & 0xf8) == master->base && (!spurious || master->isr & bit))
        chip_give_back(master, bit);
    if ((vector & 0xf8) != slave->base)
        return;
    master->isr &= (u8)~BIT(PIC_CASCADE);
    if (!spurious || slave->isr & bit)
        chip_give_back(slave, bit);
    cascade_update(p);
}

static void write_icw1(struct pic_chip *c, u8 value)
{
    c->icw1 = value;
    c->icw4 = 0;
    c->icw = 2;
    c->imr = 0;
    c->isr = 0;
    c->irr &= c->lines & c->elcr; /* the edge sense circuit is reset */
    c->lowest = 7;
    c->read_isr = 0;
    c->special_mask = 0;
    c->poll = 0;
    c->rotate_auto_eoi = 0;
}

static void write_icw2_to_4(struct pic_chip *c, u8 value)
{
    switch (c->icw) {
    case 2:
        c->base = value & 0xf8;
        c->icw = c->icw1 & ICW1_SINGLE ? 4 : 3;
        break;
    case 3: /* who is on which input is fixed by the board */ c->icw = 4; break;
    default: c->icw4 = value; c->icw = 0;
    }
    if (c->icw == 4 && !(c->icw1 & ICW1_ICW4))
        c->icw = 0;
}

/* OCW2: R, SL and EOI choose one of eight commands (231468-003, figure 8). */
static void write_ocw2(struct pic_chip *c, u8 value)
{
    static const struct {
        u8 eoi, rotate, specific, set_auto, auto_on;
    } commands[8] = {
        [0] = {.set_auto = 1, .auto_on = 0},
        [1] = {.eoi = 1},
        [3] = {.eoi = 1, .specific = 1},
        [4] = {.set_auto = 1, .auto_on = 1},
        [5] = {.eoi = 1, .rotate = 1},
        [6] = {.rotate = 1, .specific = 1},
        [7] = {.eoi = 1, .rotate = 1, .specific = 1},
    };
    unsigned n = value >> 5;
    unsigned input = commands[n].specific ? value & 7u : input_at(c, first_place(c, c->isr));

    if (commands[n].set_auto)
        c->rotate_auto_eoi = commands[n].auto_on;
    if (input == NONE)
        return;
    if (commands[n].eoi)
        c->isr &= (u8) ~(1u << input);
    if (commands[n].rotate)
        c->lowest = (u8)input;
}

static void write_ocw3(struct pic_chip *c, u8 value)
{
    if (value & OCW3_SET_SMM)
        c->special_mask = !!(value & OCW3_SMM);
    if (value & OCW3_READ)
        c->read_isr = value & OCW3_READ_ISR;
    c->poll = !!(value & OCW3_POLL);
}

static void chip_write(struct pic_chip *c, bool data, u8 value)
{
    if (data && c->icw)
        write_icw2_to_4(c, value);
    else if (data)
        c->imr = value;
    else if (value & ICW1)
        write_icw1(c, value);
    else if (value & OCW3)
        write_ocw3(c, value);
    else
        write_ocw2(c, value);
}

/* Poll command: the read is the acknowledge; bit 7 says that there was something. */
static u8 chip_poll(struct pic_chip *c, bool master)
{
    unsigned input = pending_input(c, master);

    c->poll = 0;
    chip_serve(c, input);
    return input == NONE ? 0 : (u8)(0x80 | input);
}

static u8 chip_read(struct pic_chip *c, bool data, bool master)
{
    if (c->poll)
        return chip_poll(c, master);
    if (data)
        return c->imr;
    return c->read_isr ? c->isr : c->irr;
}

/* The input that changes to level triggering follows its line from now on. */
static void write_elcr(struct pic_chip *c, u8 value, u8 writable)
{
    c->elcr = value & writable;
    c->irr = (c->irr & (u8)~c->elcr) | (c->lines & c->elcr);
}

u8 pic_in(struct pic *p, u16 port)
{
    u8 value;

    if ((port & ~1) == PIC_PORT_ELCR)
        return p->chip[port & 1].elcr;
    value = chip_read(&p->chip[port & 0x80 ? SLAVE : MASTER], port & 1, !(port & 0x80));
    cascade_update(p);
    return value;
}

void pic_out(struct pic *p, u16 port, u8 value)
{
    if ((port & ~1) == PIC_PORT_ELCR)
        write_elcr(&p->chip[port & 1], value, elcr_writable[port & 1]);
    else
        chip_write(&p->chip[port & 0x80 ? SLAVE : MASTER], port & 1, value);
    cascade_update(p);
}

static bool chip_is_valid(const struct pic_chip *c, u8 elcr)
{
    return !(c->elcr & (u8)~elcr) && !(c->base & 7) && c->lowest <= 7 && c->icw != 1 &&
           c->icw <= 4 && c->read_isr <= 1 && c->special_mask <= 1 && c->poll <= 1 &&
           c->rotate_auto_eoi <= 1 && !c->reserved[0] && !c->reserved[1];
}

bool pic_is_valid(const struct pic *p)
{
    return chip_is_valid(&p->chip[MASTER], elcr_writable[MASTER]) &&
           chip_is_valid(&p->chip[SLAVE], elcr_writable[SLAVE]);
}
