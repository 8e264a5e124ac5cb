/* SPDX-License-Identifier: BSD-2-Clause */
/* The devices of a VM that ACPI has to name. Interrupt lines and ports as in vmm/layout.h. */
DefinitionBlock ("dsdt.aml", "DSDT", 2, "FERRY ", "FERRYVM ", 1)
{
    /* The value for the sleep control register (SLEEP_TYPE_S5). */
    Name (\_S5, Package () { 0x05, Zero, Zero, Zero })

    Scope (\_SB)
    {
        Device (COM1)
        {
            Name (_HID, EisaId ("PNP0501"))
            Name (_UID, One)
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x03F8, 0x03F8, 0x01, 0x08)
                IRQNoFlags () { 4 }
            })
        }

        Device (RTC0)
        {
            Name (_HID, EisaId ("PNP0B00"))
            Name (_CRS, ResourceTemplate ()
            {
                IO (Decode16, 0x0070, 0x0070, 0x01, 0x02)
                IRQNoFlags () { 8 }
            })
        }
    }
}
