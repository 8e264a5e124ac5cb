/* SPDX-License-Identifier: BSD-2-Clause */
/* printf into a buffer. */
#include "kernel/string.h"

struct sink {
    char *to;
    size_t size;
    size_t length; /* of the whole text, whether it fitted or not */
};

struct spec {
    bool left, zero, plus, space;
    int width;
    int precision; /* -1: none given */
    char length;   /* 0, 'l' (also for ll, z): 64 bits */
};

static void sink_put(struct sink *s, char c)
{
    if (s->length + 1 < s->size)
        s->to[s->length] = c;
    s->length++;
}

static void sink_pad(struct sink *s, char c, int count)
{
    while (count-- > 0)
        sink_put(s, c);
}

/* sign, zeros and digits, in a field of spec->width. */
static void put_field(struct sink *s, const struct spec *spec, const char *sign, const char *text,
                      int length, int zeros)
{
    int width = spec->width - (int)strlen(sign) - length - zeros;

    if (!spec->left)
        sink_pad(s, ' ', width);
    while (*sign)
        sink_put(s, *sign++);
    sink_pad(s, '0', zeros);
    for (int i = 0; i < length; i++)
        sink_put(s, text[i]);
    if (spec->left)
        sink_pad(s, ' ', width);
}

static void put_number(struct sink *s, const struct spec *spec, const char *sign, u64 value,
                       unsigned base, const char *digits)
{
    char text[20];
    int at = sizeof(text), length, zeros = 0;

    for (; value; value /= base)
        text[--at] = digits[value % base];
    length = (int)sizeof(text) - at;
    if (spec->precision >= 0)
        zeros = spec->precision - length;
    else if (spec->zero && !spec->left)
        zeros = MAX(spec->width - (int)strlen(sign) - length, length == 0);
    else
        zeros = length == 0;
    put_field(s, spec, sign, text + at, length, MAX(zeros, 0));
}

static void put_signed(struct sink *s, const struct spec *spec, s64 v)
{
    const char *sign = v < 0 ? "-" : spec->plus ? "+" : spec->space ? " " : "";

    put_number(s, spec, sign, v < 0 ? 0 - (u64)v : (u64)v, 10, "0123456789");
}

static void put_string(struct sink *s, const struct spec *spec, const char *text)
{
    int length = 0;

    if (!text)
        text = "(null)";
    while ((spec->precision < 0 || length < spec->precision) && text[length])
        length++;
    put_field(s, spec, "", text, length, 0);
}

static int read_count(const char **format, va_list *args)
{
    int n = 0;

    if (**format == '*') {
        (*format)++;
        return va_arg(*args, int);
    }
    for (; **format >= '0' && **format <= '9'; (*format)++)
        n = n < 10000 ? n * 10 + (**format - '0') : n;
    return n;
}

static const char *read_spec(const char *f, struct spec *spec, va_list *args)
{
    *spec = (struct spec){.precision = -1};
    for (;; f++) {
        if (*f == '-')
            spec->left = true;
        else if (*f == '0')
            spec->zero = true;
        else if (*f == '+')
            spec->plus = true;
        else if (*f == ' ')
            spec->space = true;
        else
            break;
    }
    spec->width = read_count(&f, args);
    if (spec->width < 0) { /* a negative "*" means left */
        spec->left = true;
        spec->width = -MAX(spec->width, -10000);
    }
    if (*f == '.') {
        f++;
        spec->precision = read_count(&f, args);
    }
    for (; *f == 'l' || *f == 'z'; f++)
        spec->length = 'l';
    return f;
}

static void put_conversion(struct sink *s, char conversion, const struct spec *spec, va_list *args)
{
    bool wide = spec->length == 'l';
    char c;

    switch (conversion) {
    case 'd':
    case 'i': put_signed(s, spec, wide ? va_arg(*args, long long) : va_arg(*args, int)); break;
    case 'u':
        put_number(s, spec, "", wide ? va_arg(*args, u64) : va_arg(*args, unsigned), 10,
                   "0123456789");
        break;
    case 'x':
        put_number(s, spec, "", wide ? va_arg(*args, u64) : va_arg(*args, unsigned), 16,
                   "0123456789abcdef");
        break;
    case 'X':
        put_number(s, spec, "", wide ? va_arg(*args, u64) : va_arg(*args, unsigned), 16,
                   "0123456789ABCDEF");
        break;
    case 'p':
        put_number(s, spec, "0x", (uintptr_t)va_arg(*args, void *), 16, "0123456789abcdef");
        break;
    case 's': put_string(s, spec, va_arg(*args, const char *)); break;
    case 'c':
        c = (char)va_arg(*args, int);
        put_field(s, spec, "", &c, 1, 0);
        break;
    case '%': sink_put(s, '%'); break;
    default: /* shown as it stands, so that the mistake is seen */
        sink_put(s, '%');
        sink_put(s, conversion);
    }
}

int str_vformat(char *to, size_t size, const char *format, va_list args)
{
    struct sink s = {.to = to, .size = size};
    struct spec spec;
    va_list rest;

    va_copy(rest, args);
    for (; *format; format++) {
        if (*format != '%') {
            sink_put(&s, *format);
            continue;
        }
        format = read_spec(format + 1, &spec, &rest);
        if (!*format)
            break;
        put_conversion(&s, *format, &spec, &rest);
    }
    va_end(rest);
    if (size)
        to[MIN(s.length, size - 1)] = 0;
    return (int)s.length;
}

int str_format(char *to, size_t size, const char *format, ...)
{
    va_list args;
    int length;

    va_start(args, format);
    length = str_vformat(to, size, format, args);
    va_end(args);
    return length;
}
