/* SPDX-License-Identifier: BSD-2-Clause */
/* The parser of ferry.cfg: a table of keys, each with a function that takes its value. */
#include "kernel/config.h"
#include "kernel/string.h"

#define WRONG_TEXT 160

struct parser {
    struct config *config;
    struct config_vm *vm; /* the one that keys belong to now, or NULL */
    unsigned line, wrong;
    bool in_vm;               /* under a `vm` line, even one that was refused */
    char refusal[WRONG_TEXT]; /* what is wrong with the value, or "": it is not what was expected */
    void (*report)(void *ctx, unsigned line, const char *what);
    void *ctx;
};

struct key {
    const char *name;
    bool of_vm;
    bool (*set)(struct parser *p, const char *value); /* false: the value is wrong */
    const char *expected;
};

/* Says what is wrong with a value that has the right form. */
static bool refuse(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
static bool refuse(struct parser *p, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    str_vformat(p->refusal, sizeof(p->refusal), format, args);
    va_end(args);
    return false;
}

static bool is_name(const char *s)
{
    size_t n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        char c = s[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');

        if (!letter && (i == 0 || (c != '-' && c != '_' && c != '.')))
            return false;
    }
    return n > 0 && n < CONFIG_NAME;
}

static bool set_host(struct parser *p, const char *value)
{
    return is_name(value) && str_copy(p->config->host, CONFIG_NAME, value);
}

static bool parse_decimal(const char **s, unsigned limit, unsigned *value)
{
    const char *start = *s;

    *value = 0;
    while (**s >= '0' && **s <= '9' && *value <= limit)
        *value = *value * 10 + (unsigned)(*(*s)++ - '0');
    return *s != start && *value <= limit;
}

/* "192.0.2.1", up to the character that must follow. */
static bool parse_address(const char **s, u8 address[4], char behind)
{
    unsigned part;

    for (unsigned i = 0; i < 4; i++) {
        if (!parse_decimal(s, 255, &part) || *(*s)++ != (i < 3 ? '.' : behind))
            return false;
        address[i] = (u8)part;
    }
    return true;
}

static u32 address_number(const u8 a[4])
{
    return (u32)a[0] << 24 | (u32)a[1] << 16 | (u32)a[2] << 8 | a[3];
}

/* The bits that number hosts within the network. */
static u32 host_bits(unsigned prefix)
{
    return prefix < 32 ? ~0u >> prefix : 0;
}

/* Why no host can have that address, or NULL. */
static const char *not_a_hosts(const u8 address[4])
{
    return address[0] == 0     ? "addresses that begin with 0 are nobody's"
           : address[0] == 127 ? "addresses that begin with 127 do not leave a host"
           : address[0] >= 240 ? "addresses from 240 on are reserved, or broadcast"
           : address[0] >= 224 ? "addresses from 224 to 239 are multicast groups"
                               : NULL;
}

/* The same for a network of that prefix, in which all zeros are the network and all ones its broadcast. */
static const char *not_a_hosts_of(const u8 address[4], unsigned prefix)
{
    u32 host = address_number(address) & host_bits(prefix);

    if (prefix > 30)
        return NULL;
    return !host                       ? "that is the network's own address"
           : host == host_bits(prefix) ? "that is the network's broadcast address"
                                       : NULL;
}

static bool set_address(struct parser *p, const char *value)
{
    const char *text = value, *wrong;
    unsigned prefix;
    u8 address[4];

    if (!parse_address(&value, address, '/') || !parse_decimal(&value, 32, &prefix) || *value)
        return false;
    wrong = not_a_hosts(address);
    if (!wrong)
        wrong = not_a_hosts_of(address, prefix);
    if (wrong)
        return refuse(p, "%s is not a host's address: %s", text, wrong);
    memcpy(p->config->address, address, sizeof(address));
    p->config->prefix = (u8)prefix;
    return true;
}

static bool set_console(struct parser *p, const char *value)
{
    static const u16 ports[] = {0x3f8, 0x2f8, 0x3e8, 0x2e8};
    static const u32 rates[] = {9600, 19200, 38400, 57600, 115200};
    u64 baud = 115200;

    if (!str_starts(value, "com") || value[3] < '1' || value[3] > '4')
        return false;
    if (value[4] == ' ' && !str_to_u64(value + 5, &baud))
        return false;
    if (value[4] && value[4] != ' ')
        return false;
    for (unsigned i = 0; i < COUNT_OF(rates); i++) {
        if (rates[i] != baud)
            continue;
        p->config->console_port = ports[value[3] - '1'];
        p->config->console_baud = rates[i];
        return true;
    }
    return false;
}

static bool set_rdma_timeout(struct parser *p, const char *value)
{
    u64 ms;

    if (!str_to_u64(value, &ms) || ms < 1 || ms > 60000)
        return false;
    p->config->rdma_timeout = (u32)ms;
    return true;
}

static bool set_rdma_retries(struct parser *p, const char *value)
{
    u64 retries;

    if (!str_to_u64(value, &retries) || retries > 7)
        return false;
    p->config->rdma_retries = (u8)retries;
    return true;
}

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* All of the text, 64 digits. */
static bool parse_key(const char *s, u8 key[CONFIG_KEY])
{
    if (strlen(s) != 2 * CONFIG_KEY)
        return false;
    for (unsigned i = 0; i < CONFIG_KEY; i++) {
        int high = hex_digit(s[2 * i]), low = hex_digit(s[2 * i + 1]);

        if (high < 0 || low < 0)
            return false;
        key[i] = (u8)(high << 4 | low);
    }
    return true;
}

/* "10.0.0.2" */
static const char *address_text(char to[16], const u8 a[4])
{
    str_format(to, 16, "%u.%u.%u.%u", a[0], a[1], a[2], a[3]);
    return to;
}

/* Is it unlike the peers before it? */
static bool check_new_peer(struct parser *p, const struct config_peer *new)
{
    char address[16];

    for (u32 i = 0; i < p->config->peer_count; i++) {
        const struct config_peer *old = &p->config->peer[i];

        if (str_equal(old->name, new->name))
            return refuse(p, "line %u names %s already", old->line, new->name);
        if (!memcmp(old->address, new->address, sizeof(new->address)))
            return refuse(p, "%s has the address of %s, %s", new->name, old->name,
                          address_text(address, new->address));
    }
    return true;
}

/* NAME ADDRESS KEY */
static bool add_peer(struct parser *p, const char *value)
{
    struct config *c = p->config;
    struct config_peer peer = {.name = "", .line = p->line};
    const char *space = strchr(value, ' '), *wrong;

    if (!space || (size_t)(space - value) >= CONFIG_NAME || c->peer_count == CONFIG_MAX_PEERS)
        return false;
    memcpy(peer.name, value, (size_t)(space - value));
    while (*space == ' ')
        space++;
    if (!is_name(peer.name) || !parse_address(&space, peer.address, ' '))
        return false;
    while (*space == ' ')
        space++;
    if (!parse_key(space, peer.key))
        return false;
    wrong = not_a_hosts(peer.address);
    if (wrong)
        return refuse(p, "%s cannot have that address: %s", peer.name, wrong);
    if (!check_new_peer(p, &peer))
        return false;
    c->peer[c->peer_count++] = peer;
    return true;
}

static bool set_fabric(struct parser *p, const char *value)
{
    p->config->fabric_isolated = str_equal(value, "isolated");
    return p->config->fabric_isolated || str_equal(value, "open");
}

/* Leaves `to` as it was where the value is wrong. */
static bool set_path(char to[CONFIG_PATH], const char *value)
{
    return *value && strlen(value) < CONFIG_PATH && str_copy(to, CONFIG_PATH, value);
}

static bool add_file(struct parser *p, const char *value)
{
    struct config *c = p->config;

    return c->file_count < CONFIG_MAX_FILES && set_path(c->file[c->file_count], value) &&
           ++c->file_count;
}

/* GROUP KEY */
static bool add_secret(struct parser *p, const char *value)
{
    struct config *c = p->config;
    struct config_secret secret = {.group = ""};
    const char *space = strchr(value, ' ');

    if (!space || (size_t)(space - value) >= CONFIG_NAME || c->secret_count == CONFIG_MAX_SECRETS)
        return false;
    memcpy(secret.group, value, (size_t)(space - value));
    while (*space == ' ')
        space++;
    for (u32 i = 0; i < c->secret_count; i++)
        if (str_equal(c->secret[i].group, secret.group))
            return false;
    if (!is_name(secret.group) || !parse_key(space, secret.key))
        return false;
    c->secret[c->secret_count++] = secret;
    return true;
}

static bool set_memory(struct parser *p, const char *value)
{
    u64 bytes;

    if (!str_to_size(value, &bytes) || bytes < MIB(4) || bytes > GIB(1024) || (bytes & PAGE_MASK))
        return false;
    p->vm->memory = bytes;
    return true;
}

static bool set_cpus(struct parser *p, const char *value)
{
    u64 n;

    if (!str_to_u64(value, &n) || n < 1 || n > 16)
        return false;
    p->vm->vcpus = (u32)n;
    return true;
}

static bool set_group(struct parser *p, const char *value)
{
    return is_name(value) && str_copy(p->vm->group, CONFIG_NAME, value);
}

static bool set_default_group(struct parser *p, const char *value)
{
    return is_name(value) && str_copy(p->config->default_group, CONFIG_NAME, value);
}

static bool set_kernel(struct parser *p, const char *value)
{
    return set_path(p->vm->kernel, value);
}

static bool set_initrd(struct parser *p, const char *value)
{
    return set_path(p->vm->initrd, value);
}

static bool set_module(struct parser *p, const char *value)
{
    const char *space = strchr(value, ' ');
    size_t path = space ? (size_t)(space - value) : strlen(value);

    if (!path || path >= CONFIG_PATH || strlen(value) >= CONFIG_PATH + CONFIG_CMDLINE ||
        p->vm->module_count == CONFIG_MAX_MODULES)
        return false;
    return str_copy(p->vm->module[p->vm->module_count++], CONFIG_PATH + CONFIG_CMDLINE, value);
}

static bool set_cmdline(struct parser *p, const char *value)
{
    return strlen(value) < CONFIG_CMDLINE && str_copy(p->vm->cmdline, CONFIG_CMDLINE, value);
}

static bool set_autostart(struct parser *p, const char *value)
{
    p->vm->autostart = str_equal(value, "yes");
    return p->vm->autostart || str_equal(value, "no");
}

static bool begin_vm(struct parser *p, const char *value)
{
    struct config *c = p->config;

    p->in_vm = true;
    p->vm = NULL;
    if (!is_name(value) || c->vm_count == CONFIG_MAX_VMS)
        return false;
    for (u32 i = 0; i < c->vm_count; i++)
        if (str_equal(c->vm[i].name, value))
            return false;
    p->vm = &c->vm[c->vm_count++];
    *p->vm = (struct config_vm){.memory = MIB(256), .vcpus = 1, .line = p->line};
    return str_copy(p->vm->name, CONFIG_NAME, value);
}

static const struct key keys[] = {
    {"host", false, set_host, "a name: letters, digits, - _ . (31 at most)"},
    {"address", false, set_address, "an IPv4 address with its prefix, as 192.0.2.1/24"},
    {"console", false, set_console, "com1 to com4, and a rate from 9600 to 115200, as com1 115200"},
    {"peer", false, add_peer,
     "another host's name, its IPv4 address and a key of 64 hex digits; 8 peers at most"},
    {"fabric", false, set_fabric, "isolated or open"},
    {"file", false, add_file, "a file on the boot volume, 63 characters at most; 48 files at most"},
    {"secret", false, add_secret,
     "a trust group that has none yet, and 64 hex digits; 16 groups at most"},
    {"default-group", false, set_default_group, "a name: letters, digits, - _ . (31 at most)"},
    {"rdma-timeout", false, set_rdma_timeout, "milliseconds, from 1 to 60000"},
    {"rdma-retries", false, set_rdma_retries, "a number from 0 to 7"},
    {"vm", false, begin_vm, "a new name: letters, digits, - _ . (31 at most); 16 VMs at most"},
    {"memory", true, set_memory, "a size from 4M to 1024G in whole pages, as 512M"},
    {"cpus", true, set_cpus, "a number from 1 to 16"},
    {"group", true, set_group, "a name: letters, digits, - _ . (31 at most)"},
    {"kernel", true, set_kernel, "a file on the boot volume, 63 characters at most"},
    {"initrd", true, set_initrd, "a file on the boot volume, 63 characters at most"},
    {"module", true, set_module, "a file on the boot volume and its arguments; 4 modules at most"},
    {"cmdline", true, set_cmdline, "the kernel's command line, 511 characters at most"},
    {"autostart", true, set_autostart, "yes or no"},
};

static void wrong_line(struct parser *p, const char *format, ...) PRINTF_LIKE(2, 3);
static void wrong_line(struct parser *p, const char *format, ...)
{
    char what[WRONG_TEXT];
    va_list args;

    va_start(args, format);
    str_vformat(what, sizeof(what), format, args);
    va_end(args);
    p->wrong++;
    if (p->report)
        p->report(p->ctx, p->line, what);
}

static void unknown_key(struct parser *p, const char *name)
{
    const struct key *near = NULL;
    char shown[24];

    str_copy(shown, sizeof(shown), name); /* as much as a message needs */
    str_clean(shown);
    for (unsigned i = 0; i < COUNT_OF(keys) && !near; i++)
        if (str_distance(keys[i].name, name) <= 2)
            near = &keys[i];
    wrong_line(p, "unknown key '%s': %s%s", shown, near ? "did you mean " : "see docs/ferry.cfg.md",
               near ? near->name : "");
}

static void set_value(struct parser *p, const struct key *k, const char *value)
{
    p->refusal[0] = '\0';
    if (k->set(p, value))
        return;
    if (p->refusal[0])
        wrong_line(p, "%s: %s", k->name, p->refusal);
    else
        wrong_line(p, "%s: expected %s", k->name, k->expected);
}

static void parse_line(struct parser *p, char *name)
{
    char *value = strchr(name, ' ');

    if (value) {
        *value++ = '\0';
        while (*value == ' ')
            value++;
    } else {
        value = name + strlen(name);
    }
    for (unsigned i = 0; i < COUNT_OF(keys); i++) {
        const struct key *k = &keys[i];

        if (!str_equal(k->name, name))
            continue;
        if (k->of_vm && !p->vm) {
            if (!p->in_vm)
                wrong_line(p, "'%s' stands before the first 'vm NAME' line", k->name);
        } else {
            set_value(p, k, value);
        }
        return;
    }
    unknown_key(p, name);
}

/* --- what can be said only when all lines have been read ----------------------------------------- */

/* A peer that is this host would be asked for this host's own VMs. */
static bool peer_is_this_host(struct parser *p, const struct config_peer *peer)
{
    const struct config *c = p->config;
    char address[16];

    if (str_equal(peer->name, c->host))
        wrong_line(p, "peer: %s is this host itself", peer->name);
    else if (c->prefix && !memcmp(peer->address, c->address, sizeof(c->address)))
        wrong_line(p, "peer: %s has this host's own address, %s", peer->name,
                   address_text(address, peer->address));
    else
        return false;
    return true;
}

/* Such a peer is kept: it is not reached, and VMs that it may have are not started before somebody says that it is off. */
static void warn_of_peer(struct parser *p, const struct config_peer *peer)
{
    const struct config *c = p->config;
    u32 apart = address_number(peer->address) ^ address_number(c->address);
    const char *wrong = c->prefix ? not_a_hosts_of(peer->address, c->prefix) : NULL;

    if (c->prefix && apart & ~host_bits(c->prefix))
        wrong_line(p, "peer: %s is outside of this host's network, and will not be reached",
                   peer->name);
    else if (wrong)
        wrong_line(p, "peer: %s will not be reached: %s", peer->name, wrong);
}

static void check_peers(struct parser *p)
{
    struct config *c = p->config;
    u32 kept = 0;

    for (u32 i = 0; i < c->peer_count; i++) {
        p->line = c->peer[i].line;
        if (peer_is_this_host(p, &c->peer[i]))
            continue;
        warn_of_peer(p, &c->peer[i]);
        c->peer[kept++] = c->peer[i];
    }
    c->peer_count = kept;
}

static void give_default_group(struct config *c)
{
    for (u32 i = 0; i < c->vm_count; i++)
        if (!c->vm[i].group[0])
            str_copy(c->vm[i].group, CONFIG_NAME, c->default_group);
}

/* --- lines --------------------------------------------------------------------------------------- */

/* Copies one line without comment, with tabs as spaces and no blanks at its ends. */
static bool clean_line(char *to, size_t size, const char *from, size_t length)
{
    size_t n = 0;

    while (length &&
           (from[length - 1] == ' ' || from[length - 1] == '\t' || from[length - 1] == '\r'))
        length--;
    while (length && (*from == ' ' || *from == '\t'))
        from++, length--;
    if (length && *from == '#')
        length = 0;
    if (length >= size)
        return false;
    for (; n < length; n++)
        to[n] = from[n] == '\t' ? ' ' : from[n] ? from[n] : '?';
    to[n] = '\0';
    return true;
}

/* The mark that some editors put before the text: how many bytes to pass over. */
static size_t byte_order_mark(struct parser *p, const char *text, size_t size)
{
    if (size >= 3 && !memcmp(text, "\xef\xbb\xbf", 3))
        return 3;
    if (size < 2 || (memcmp(text, "\xff\xfe", 2) != 0 && memcmp(text, "\xfe\xff", 2) != 0))
        return 0;
    p->line = 1;
    wrong_line(p, "the file is in UTF-16, which is not read: save it as UTF-8");
    return size;
}

static void parse_text(struct parser *p, const char *text, size_t size)
{
    char line[CONFIG_PATH + CONFIG_CMDLINE + 16];

    for (size_t at = byte_order_mark(p, text, size), end; at < size; at = end + 1) {
        for (end = at; end < size && text[end] != '\n'; end++)
            ;
        p->line++;
        if (!clean_line(line, sizeof(line), text + at, end - at))
            wrong_line(p, "the line is longer than %u characters", (unsigned)sizeof(line) - 1);
        else if (line[0])
            parse_line(p, line);
    }
}

unsigned config_parse(struct config *c, const char *text, size_t size,
                      void (*wrong)(void *ctx, unsigned line, const char *what), void *ctx)
{
    struct parser p = {.config = c, .report = wrong, .ctx = ctx};

    *c = (struct config){.host = "ferry",
                         .console_port = 0x3f8,
                         .console_baud = 115200,
                         .rdma_timeout = 500,
                         .rdma_retries = 7};
    parse_text(&p, text, size);
    check_peers(&p);
    give_default_group(c);
    return p.wrong;
}

bool config_same_vm(const struct config_vm *a, const struct config_vm *b)
{
    bool same = a->memory == b->memory && a->vcpus == b->vcpus &&
                a->module_count == b->module_count && str_equal(a->name, b->name) &&
                str_equal(a->group, b->group) && str_equal(a->kernel, b->kernel) &&
                str_equal(a->initrd, b->initrd) && str_equal(a->cmdline, b->cmdline);

    for (u32 i = 0; same && i < a->module_count; i++)
        same = str_equal(a->module[i], b->module[i]);
    return same;
}

void config_module_path(const char *module, char path[CONFIG_PATH])
{
    size_t n = 0;

    for (; module[n] && module[n] != ' ' && n < CONFIG_PATH - 1; n++)
        path[n] = module[n];
    path[n] = '\0';
}
