/* SPDX-License-Identifier: BSD-2-Clause */
#include "arch/x86_64/boot/loader.h"

EFI_FILE_HANDLE volume_open(EFI_HANDLE image)
{
    EFI_GUID loaded_image = EFI_LOADED_IMAGE_PROTOCOL_GUID;
    EFI_GUID file_system = EFI_SIMPLE_FILE_SYSTEM_PROTOCOL_GUID;
    EFI_LOADED_IMAGE *loaded;
    EFI_FILE_IO_INTERFACE *fs;
    EFI_FILE_HANDLE root;

    if (EFI_ERROR(ST->BootServices->HandleProtocol(image, &loaded_image, (void **)&loaded)))
        return NULL;
    if (EFI_ERROR(
            ST->BootServices->HandleProtocol(loaded->DeviceHandle, &file_system, (void **)&fs)))
        return NULL;
    return EFI_ERROR(fs->OpenVolume(fs, &root)) ? NULL : root;
}

/* The size of an open file, by seeking to its end (13.5.9). */
static EFI_STATUS file_size(EFI_FILE_HANDLE file, UINT64 *size)
{
    EFI_STATUS status = file->SetPosition(file, ~0ull);

    if (!EFI_ERROR(status))
        status = file->GetPosition(file, size);
    if (!EFI_ERROR(status))
        status = file->SetPosition(file, 0);
    return status;
}

/* Reads in pieces of 1 MiB: some firmware refuses or mangles larger ones. */
static EFI_STATUS read_all(EFI_FILE_HANDLE file, UINT64 base, UINT64 size)
{
    for (UINT64 at = 0; at < size;) {
        UINTN piece = MIN(size - at, MIB(1));
        EFI_STATUS status = file->Read(file, &piece, (void *)(base + at));

        if (EFI_ERROR(status))
            return status;
        if (!piece)
            return EFI_END_OF_FILE;
        at += piece;
    }
    return EFI_SUCCESS;
}

EFI_STATUS file_read(EFI_FILE_HANDLE volume, const char *path, UINT64 *base, UINT64 *size)
{
    CHAR16 wide[128];
    EFI_FILE_HANDLE file;
    EFI_STATUS status;
    UINTN n = 0;

    *size = 0;
    for (; path[n] && n < COUNT_OF(wide) - 1; n++)
        wide[n] = path[n] == '/' ? '\\' : (CHAR16)(unsigned char)path[n];
    wide[n] = 0;
    status = volume->Open(volume, &file, wide, EFI_FILE_MODE_READ, 0);
    if (EFI_ERROR(status))
        return status;
    status = file_size(file, size);
    if (!EFI_ERROR(status)) {
        *base = pages_alloc(*size / PAGE_SIZE + 1);
        status = *base ? read_all(file, *base, *size) : EFI_OUT_OF_RESOURCES;
    }
    file->Close(file);
    if (EFI_ERROR(status))
        *size = 0;
    return status;
}
